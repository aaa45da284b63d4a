"""Tickets and images on their way out: two threads that read files and publish frames.

The feeder publishes a ticket for each image, with the image in it if it is small; several small
ones leave in one message, a bundle. The courier sends the larger ones, piece by piece, to the
workers that ask, and publishes again the tickets that were lost. Neither ever holds more than one
piece of a file, or one bundle, and the publisher makes both wait while too much is unconfirmed.
"""

from __future__ import annotations

import io
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from imgbatch.batch.model import Job, Outcome
from imgbatch.batch.write import changed, check_size, open_source, read_source, source_error
from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.engines.rabbitmq.desk import Desk, failed
from imgbatch.engines.rabbitmq.offers import MAX_ATTEMPTS, Offer, Verdict
from imgbatch.errors import Code, ImageError, WorkerFailed
from imgbatch.images.limits import Limits
from imgbatch.protocol import Cancel, Chunk, Fetch, Ticket, encode
from imgbatch.protocol.slicing import BUNDLE_BYTES, CHUNK_BYTES
from imgbatch.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a run's frames go.

    Parameters
    ----------
    batch
        The run's id.
    topic
        Where its client listens.
    work_queue
        Its tickets' queue.
    recipe
        What its tickets ask for.
    limits
        The largest file that is sent, and the largest image that is to be processed.
    """

    batch: str
    topic: str
    work_queue: str
    recipe: Recipe
    limits: Limits


class Feeder:
    """Draws jobs as there is room for them, and offers each to the workers.

    Parameters
    ----------
    route, desk, publisher
        Where tickets go, what is in flight, and what they are published with.
    queue_is_gone
        Told, on the publisher's thread, when a ticket found no queue.
    """

    def __init__(
        self,
        route: Route,
        desk: Desk,
        publisher: Publisher,
        queue_is_gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._route = route
        self._recipe = route.recipe.to_fields()
        self._desk = desk
        self._publisher = publisher
        self._queue_is_gone = queue_is_gone

    def start(self, jobs: Iterable[Job]) -> None:
        """Begin to draw, in a thread that may be left waiting for a job that never comes."""
        threading.Thread(target=self._feed, args=(jobs,), name="feeder", daemon=True).start()

    def _feed(self, jobs: Iterable[Job]) -> None:
        try:
            bundles = in_bundles(
                filter(self._is_sendable, jobs), lambda: self._desk.images_per_bundle
            )
            while self._desk.wait_for_room():
                bundle = next(bundles, None)
                if bundle is None:
                    break
                self.offer(self._desk.offers.add(bundle, time.monotonic()))
        except BaseException as error:
            self._desk.abort(error)
        finally:
            self._desk.fed.set()
            self._desk.wake()

    def _is_sendable(self, job: Job) -> bool:
        try:
            check_size(job.source, job.size_bytes, self._route.limits.max_bytes)
        except ImageError as error:
            self._desk.tell(failed(job, error))
            return False
        return True

    def offer(self, offers: list[Offer]) -> None:
        """Publish the tickets of images in one message, for the first time or again."""
        tickets = {}
        for offer in offers:
            try:
                tickets[offer.job.index] = self._ticket(offer)
            except ImageError as error:
                self._desk.fail(offer.job, error)
        if tickets:
            message = Message("", self._route.work_queue, b"".join(tickets.values()))
            self._publisher.publish(message, partial(self._settled, tuple(tickets)))

    def _ticket(self, offer: Offer) -> bytes:
        job, route = offer.job, self._route
        image = b"" if job.size_bytes > CHUNK_BYTES else self._read(job)
        ticket = Ticket(
            batch=route.batch,
            job=job.index,
            attempt=offer.attempt,
            topic=route.topic,
            size_bytes=job.size_bytes,
            max_pixels=route.limits.max_pixels,
            recipe=self._recipe,
        )
        # Whoever has to fetch the image anyway, because the ticket is not new, needs no copy.
        return encode(ticket, image if offer.attempt == 0 else b"")

    def _read(self, job: Job) -> bytes:
        return read_source(job, self._route.limits.max_bytes)

    def _settled(self, indexes: tuple[int, ...], settlement: Settlement) -> None:
        if settlement is Settlement.CONFIRMED:
            return
        log.info("the tickets of the images %s found no queue", indexes)
        for index in indexes:
            self._desk.offers.doubt(index)
        self._queue_is_gone()


def in_bundles(jobs: Iterable[Job], most_images: Callable[[], int]) -> Iterator[list[Job]]:
    """Yield jobs in order, by as many as leave in one message: of `BUNDLE_BYTES`, or a single one.

    A large image is alone, even if its ticket holds none of it: whoever gets it has much to do. No
    job is drawn beyond `most_images`, so none that was drawn waits for one that is long in coming.
    """
    bundle: list[Job] = []
    room_bytes = BUNDLE_BYTES
    for job in jobs:
        if bundle and job.size_bytes > room_bytes:
            yield bundle
            bundle, room_bytes = [], BUNDLE_BYTES
        bundle.append(job)
        room_bytes -= job.size_bytes
        if room_bytes <= 0 or len(bundle) >= most_images():
            yield bundle
            bundle, room_bytes = [], BUNDLE_BYTES
    if bundle:
        yield bundle


class Courier:
    """Sends images to the workers that ask for them, and offers again what was lost.

    A worker that has waited for a while asks again, and may only be waiting for its turn: what is
    in line, or on its way to the broker, is not sent twice, or a slow link would never catch up.
    """

    def __init__(self, desk: Desk, publisher: Publisher, feeder: Feeder) -> None:
        self._desk = desk
        self._publisher = publisher
        self._feeder = feeder
        self._requests: queue.SimpleQueue[Fetch | Offer | None] = queue.SimpleQueue()
        self._in_line: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def request(self, request: Fetch | Offer) -> None:
        """Have an image sent, or offered again; from any thread."""
        with self._lock:
            if _name_of(request) in self._in_line:
                return
            self._in_line.add(_name_of(request))
        self._requests.put(request)

    def stop(self) -> None:
        """End when what was asked for has been served."""
        self._requests.put(None)

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end, so that it tells of no image after the run is over."""
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                if isinstance(request, Offer):
                    self._leave_line(request)
                    self._feeder.offer([request])
                else:
                    self._answer(request)
            except Exception as error:
                self._desk.abort(error)

    def _leave_line(self, request: Fetch | Offer) -> None:
        with self._lock:
            self._in_line.discard(_name_of(request))

    def _answer(self, fetch: Fetch) -> None:
        try:
            self._decide(fetch)
        except ImageError as error:
            self._withdraw(fetch)
            offer = self._desk.offers.find(fetch.job)
            if offer is not None:
                self._desk.fail(offer.job, error)

    def _decide(self, fetch: Fetch) -> None:
        verdict, offer = self._desk.offers.ask(
            fetch.job, fetch.begins, time.monotonic(), (fetch.queue, fetch.transfer)
        )
        if offer is not None and verdict is Verdict.SEND:
            self._send(fetch, offer)
            return
        self._leave_line(fetch)
        self._withdraw(fetch)
        if offer is not None:
            self._desk.finish(_poisoned(offer))

    def _send(self, fetch: Fetch, offer: Offer) -> None:
        def messages() -> Iterator[Message]:
            for chunk, piece in _chunks(fetch, offer.job):
                offer.heard_seconds = time.monotonic()
                yield Message("", fetch.queue, encode(chunk, piece))

        self._publisher.publish_all(messages(), lambda _settlement: self._leave_line(fetch))

    def _withdraw(self, fetch: Fetch) -> None:
        withdrawal = Cancel(fetch.batch, fetch.job, fetch.transfer)
        self._publisher.post(Message("", fetch.queue, encode(withdrawal), mandatory=False))


def _name_of(request: Fetch | Offer) -> tuple[str, int]:
    if isinstance(request, Offer):
        return "", request.job.index
    return request.queue, request.transfer


def _chunks(fetch: Fetch, job: Job) -> Iterator[tuple[Chunk, bytes]]:
    with open_source(job) as file:
        # An empty file is one empty piece, since a worker waits for something.
        for offset in range(0, max(1, job.size_bytes), CHUNK_BYTES):
            piece = _read_piece(job, file, min(CHUNK_BYTES, job.size_bytes - offset))
            yield Chunk(fetch.batch, job.index, fetch.transfer, offset, job.size_bytes), piece


def _read_piece(job: Job, file: io.FileIO, length_bytes: int) -> bytes:
    piece = b""
    try:
        while len(piece) < length_bytes:
            more = file.read(length_bytes - len(piece))
            if not more:
                raise changed(job)
            piece = piece + more if piece else more
    except OSError as error:
        raise source_error(job, error) from error
    return piece


def _poisoned(offer: Offer) -> Outcome:
    """Return the outcome of an image that no worker survived."""
    codes = {code for code, _ in offer.casualties}
    code = Code.IMAGE_TIMEOUT if codes == {Code.IMAGE_TIMEOUT} else Code.WORKER_CRASHED
    last = offer.casualties[-1][1] if offer.casualties else "nothing was heard of them"
    sentence = f"{MAX_ATTEMPTS} workers were lost with this image in their hands; last: {last}"
    return replace(failed(offer.job, WorkerFailed(code, sentence)), attempts=offer.attempts)
