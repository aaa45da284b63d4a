"""The kinds of frames; a payload travels beside its frame.

::

    client  → a batch's work queue    Ticket
    worker  → the client's topic      Fetch, InProgress, Thumbnails, Result, Chunk, Returned
    client  → the worker's queue      Chunk, Cancel
    server  → the client's topic      WorkerCrashed, LeaseRefused
    client  → a server's queue        Lease, LeaseEnd
    anyone  → all servers             Discover
    server, client → all who listen   ServerStatus, BatchStatus

Two rules hold for all of them: a field that a reader does not know is passed over, so that
fields can be added within a major version; a field that it knows is checked before it is used.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from imgbatch.protocol.fields import (
    Amount,
    Name,
    Names,
    Number,
    Numbers,
    Pixels,
    Places,
    Plain,
    Processes,
    RoutingName,
    Secret,
    Sentence,
)

PROTOCOL_VERSION = 2
"""The major version; peers of another one are refused."""
STATUS_SECONDS = 3.0
"""How often servers and batches tell their status, unless there are very many."""
LONGEST_INTERVAL_SECONDS = 60.0
"""Between two statuses of a server."""


class FrameFields(Struct, frozen=True, tag=str.lower, tag_field="frame"):
    """What all kinds have in common: their name on the wire, and texts that can be shown."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not _can_be_shown(getattr(self, name)):
                raise ValueError(f"{name} holds characters that can't be shown")

    def __repr__(self) -> str:
        shown = (name for name in self.__struct_fields__ if name != "secret")
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({fields})"


def _can_be_shown(value: object) -> bool:
    if isinstance(value, dict):
        return all(_can_be_shown(it) for entry in value.items() for it in entry)
    if isinstance(value, tuple):
        return all(map(_can_be_shown, value))
    return not isinstance(value, str) or value.isprintable()


class ResultKind(StrEnum):
    """What a worker made of an image."""

    DONE = "done"
    WRITTEN = "written"  # where the ticket wanted it
    FAILED = "failed"
    SKIPPED = "skipped"


class Ticket(FrameFields, frozen=True):
    """An image waits to be processed. Its payload is the image, if it fits, or nothing.

    Parameters
    ----------
    batch, job
        The run's id and the image's number in it.
    attempt
        0 when the image is offered for the first time.
    size_bytes
        Of the whole image; larger than the payload if it has to be fetched.
    max_pixels
        The largest image that the client wants processed; the server may allow less.
    recipe
        The fields of a `imgbatch.recipe.Recipe`.
    wants_thumbnails
        The client would like `Thumbnails` with the result.
    reference
        The fields of a `imgbatch.storage.reference.Reference`, if the worker is to read the image
        or to write the result itself; `size_bytes` is 0 where it reads.
    """

    batch: Name
    job: Number
    attempt: Number
    size_bytes: Number
    max_pixels: Number
    recipe: Plain
    wants_thumbnails: bool
    reference: Plain = {}


class Fetch(FrameFields, frozen=True):
    """A worker that holds a ticket asks for its image.

    Parameters
    ----------
    queue
        The worker's own queue, to which the chunks go.
    transfer
        The number that those chunks will carry.
    begins
        The worker starts with the image as soon as it has it, and the ticket had been given out
        before: the client counts an attempt, and may refuse.
    """

    batch: Name
    job: Number
    queue: RoutingName
    transfer: Number
    begins: bool
    machine: Name


class Chunk(FrameFields, frozen=True):
    """A piece of an image on its way in, or of a result on its way out; the payload is the piece.

    Parameters
    ----------
    transfer
        Tells the chunks of one sending from those of another.
    offset_bytes
        Where in the image the piece belongs.
    size_bytes
        Of the whole image.
    """

    batch: Name
    job: Number
    transfer: Number
    offset_bytes: Number
    size_bytes: Number


class Cancel(FrameFields, frozen=True):
    """The client needs nothing more of this image: the worker drops its ticket."""

    batch: Name
    job: Number
    transfer: Number


class Result(FrameFields, frozen=True):
    """What became of an image. The payload is the new file, or as much as one chunk holds of it.

    Parameters
    ----------
    kind
        A `ResultKind`.
    code, sentence
        Why it failed; empty if it did not.
    size_bytes
        Of the whole new file.
    seconds
        That the worker spent on it.
    notes
        Stable codes for what could not be kept.
    """

    batch: Name
    job: Number
    transfer: Number
    kind: ResultKind
    code: Name
    sentence: Sentence
    machine: Name
    width_pixels: Pixels
    height_pixels: Pixels
    size_bytes: Number
    seconds: Amount
    notes: Names


class Thumbnails(FrameFields, frozen=True):
    """An image before and after as small JPEGs. The payload is the one, and the other behind it.

    It is sent just before the Result that it belongs to, which counts as much without it.

    Parameters
    ----------
    transfer
        The result's.
    before_bytes
        Where in the payload the second JPEG begins.
    """

    batch: Name
    job: Number
    transfer: Number
    before_bytes: Number


class InProgress(FrameFields, frozen=True):
    """A worker still has these tickets, or their results are on their way.

    Said every few seconds of those that it has had for longer: what is in no worker's hands, and
    was overtaken by others in the queue, is lost.

    Parameters
    ----------
    waits_for
        Which store the worker waits for, and why; empty if for none.
    """

    batch: Name
    jobs: Numbers
    machine: Name
    waits_for: Sentence = ""


class Returned(FrameFields, frozen=True):
    """A worker gave back tickets that it had not begun with, or lost them with its connection.

    Either way they are no attempts.
    """

    batch: Name
    jobs: Numbers
    machine: Name


class WorkerCrashed(FrameFields, frozen=True):
    """A worker died, or was killed, with this image in its hands.

    Parameters
    ----------
    code
        ``worker-crashed`` or ``image-timeout``.
    sentence
        How: by which signal, or after how long.
    """

    batch: Name
    job: Number
    machine: Name
    code: Name
    sentence: Sentence


class Lease(FrameFields, frozen=True):
    """A client asks a machine to work for its batch, or to go on.

    Parameters
    ----------
    batch
        Its id, which `imgbatch.protocol.codec.batch_of` makes of its secret.
    lease_seconds
        How long the machine works for the batch unless it is asked again.
    status_seconds
        How often the client needs to hear from it: less often, the more machines it hears from.
    host
        Of the client, for people.
    places
        URLs of what the machine is to read and write itself.
    """

    batch: Name
    secret: Secret
    lease_seconds: Number
    status_seconds: Amount
    host: Name
    places: Places = ()


class LeaseEnd(FrameFields, frozen=True):
    """A batch has ended: its machines forget it."""

    batch: Name
    secret: Secret


class LeaseRefused(FrameFields, frozen=True):
    """A machine can't work for a batch, and says why."""

    batch: Name
    machine: Name
    host: Name
    sentence: Sentence


class Discover(FrameFields, frozen=True):
    """Who is there? Every server answers with a ServerStatus, every client with a BatchStatus.

    Parameters
    ----------
    queue
        Where the answers go.
    """

    queue: RoutingName


class ServerStatus(FrameFields, frozen=True):
    """A server is there, and able to work.

    Parameters
    ----------
    machine
        Unlike any other's, even of a server that has the same name.
    queue
        Where it takes leases.
    procs, busy
        Worker processes, and how many of them hold an image.
    version
        Of the imgbatch package.
    digest
        Of a small built-in image put through the pipeline: equal digests mean equal bits.
    components
        Versions of the kernels and codecs.
    images, busy_seconds
        Done since the server was started, and the workers' time spent on them.
    images_per_second
        In the last ten seconds.
    batches
        How many runs it works for at present.
    leaving
        It finishes what it has, and takes no more.
    interval_seconds
        How soon it will tell its status again.
    allowed
        URLs of what it may read and write itself.
    """

    machine: Name
    name: Name
    host: Name
    queue: RoutingName
    procs: Processes
    busy: Processes
    version: Name
    digest: Name
    components: Plain
    images: Number
    busy_seconds: Amount
    images_per_second: Amount
    batches: Number
    leaving: bool
    interval_seconds: Amount
    allowed: Places = ()

    @property
    def silence_seconds(self) -> float:
        """How long nothing more may be heard before the server is gone: three statuses are due."""
        return max(10.0, 3 * min(self.interval_seconds, LONGEST_INTERVAL_SECONDS) + 1)


class BatchStatus(FrameFields, frozen=True):
    """How far a client's run is.

    Parameters
    ----------
    total
        Images found so far; more may come while `scanning`.
    """

    batch: Name
    host: Name
    total: Number
    scanning: bool
    done: Number
    failed: Number
    machines: Number
    seconds: Amount
    ended: bool


Frame = (
    Ticket
    | Fetch
    | Chunk
    | Cancel
    | Result
    | Thumbnails
    | InProgress
    | Returned
    | WorkerCrashed
    | Lease
    | LeaseEnd
    | LeaseRefused
    | Discover
    | ServerStatus
    | BatchStatus
)
