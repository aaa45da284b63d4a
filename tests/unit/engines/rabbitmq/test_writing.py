"""Results on their way in, to real files, in every order that a network can make of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.batches import Notes
from tests.support.frames import result

from imgbatch.batch.model import Job, Outcome, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.rabbitmq.writing import (
    ACKNOWLEDGED_TOGETHER,
    LARGEST_RESULT_BYTES,
    Writer,
)
from imgbatch.errors import Code, OutputError, WorkerFailed
from imgbatch.protocol.client_session import (
    ClientSession,
    Fail,
    KeepThumbnails,
    Write,
)
from imgbatch.protocol.delivery import Settle
from imgbatch.protocol.frames import Chunk, Frame, Thumbnails
from imgbatch.protocol.slicing import pieces

DATA = b"\x89PNG\r\n\x1a\n" + bytes(range(92))
"""No PNG, but it begins as one: more is for the machines to judge."""


@dataclass
class Client:
    """A session and its writer at work in a folder, with two images in flight."""

    folder: Path
    notes: Notes = field(default_factory=Notes)
    acknowledged: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    sent: int = 0
    written: int = 0

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.session = ClientSession("b")
        for index in range(2):
            target, wants = self.folder / f"{index}.jpg", index == 0
            job = Job(index, Path("in"), target, 4, 10**9, 0o640, wants_thumbnails=wants)
            self.session.drawn([[(index, job)]], 0.0)
        policy = OutputPolicy(folder=self.folder)
        self.writer = Writer(policy, self.notes, self.progressed, self.errors.append)
        self.writer.start()

    def progressed(self, outcomes: list[Outcome], deliveries: list[Any]) -> None:
        self.ended += [outcome.index for outcome in outcomes]
        self.acknowledged += deliveries

    def put(self, frame: Frame, payload: bytes = b"") -> None:
        self.sent += 1
        for action in self.session.receive(frame, memoryview(payload), self.sent, 1.0):
            if isinstance(action, Write | KeepThumbnails | Fail):
                self.writer.put(action)
                self.written += isinstance(action, Write | KeepThumbnails)
            elif isinstance(action, Settle):
                assert action.delivery == self.sent

    def stop(self) -> None:
        self.writer.stop(30)
        assert len(self.acknowledged) == self.written - self.written % ACKNOWLEDGED_TOGETHER
        assert len(set(self.acknowledged)) == len(self.acknowledged)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def frames(job: int = 0, transfer: int = 1, data: bytes = DATA, **changes: Any) -> list[Any]:
    """Return a result's frames with their payloads."""
    head = result(batch="b", job=job, transfer=transfer, size_bytes=len(data), **changes)
    return [
        (head if offset == 0 else Chunk("b", job, transfer, offset, len(data)), bytes(piece))
        for offset, piece in pieces(data, 30)
    ]


def test_a_result_becomes_a_file(client: Client) -> None:
    for frame in frames():
        client.put(*frame)
    client.stop()
    assert client.files() == {"0.jpg": DATA}
    outcome = client.notes.outcomes[0]
    assert outcome.status is Status.WRITTEN
    assert outcome.bytes_out == len(DATA)
    assert (outcome.width_pixels, outcome.height_pixels) == (4000, 3000)
    assert (outcome.machine, outcome.seconds) == (result().machine, 0.125)
    assert outcome.notes == ("icc-dropped", "name-says-another-format")  # it is no JPEG
    assert outcome.attempts == 1
    assert client.ended == [0]


def test_thumbnails_are_in_the_outcome_of_the_result_that_they_came_with(client: Client) -> None:
    for job in range(2):
        client.put(Thumbnails("b", job, 1, 2), b"abcde")
        for frame in frames(job):
            client.put(*frame)
    client.stop()
    pairs = [client.notes.outcomes[job].thumbnails for job in range(2)]
    assert pairs == [(b"ab", b"cde"), None]  # the second's were never asked for
    assert client.files() == {"0.jpg": DATA, "1.jpg": DATA}


def test_thumbnails_of_another_sending_are_not_its(client: Client) -> None:
    client.put(Thumbnails("b", 0, 7, 2), b"abcde")
    for frame in frames(transfer=8):
        client.put(*frame)
    client.stop()
    assert client.notes.outcomes[0].thumbnails is None


def test_a_failure_has_no_thumbnails_whoever_sent_some(client: Client) -> None:
    client.put(Thumbnails("b", 0, 1, 2), b"abcde")
    client.put(*frames(data=b"", kind="failed", code="damaged-image")[0])
    client.stop()
    assert client.notes.outcomes[0].status is Status.FAILED
    assert client.notes.outcomes[0].thumbnails is None


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_repeats_and_interleaves_every_file_is_whole(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Two workers each for two images; each sender may begin again at any frame of its own."""
    random = Random(seed)
    client = Client(tmp_path_factory.mktemp("out"))
    senders = [frames(job, 10 * job + copy) for job in range(2) for copy in range(2)]
    at = [0] * len(senders)
    while any(at[number] < len(sent) for number, sent in enumerate(senders)):
        left = [number for number, sent in enumerate(senders) if at[number] < len(sent)]
        number = random.choice(left)
        client.put(*senders[number][at[number]])
        at[number] += 1
        if at[number] < len(senders[number]) and random.random() < 0.2:
            at[number] = random.randint(0, at[number])
    client.stop()
    written = client.files()
    assert all(content == DATA for content in written.values())
    assert client.notes.told_twice == []
    # Two that overtook one another piece by piece spoil each other, and are asked for again.
    assert {f"{index}.jpg" for index in client.notes.outcomes} == written.keys()


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("failed", "damaged-image", Status.FAILED),
        ("skipped", "not-an-image", Status.SKIPPED),
        ("failed", "a code of tomorrow", Status.FAILED),
    ],
)
def test_a_failure_is_told_with_its_reason(
    client: Client, kind: str, code: str, status: Status
) -> None:
    client.put(*frames()[0])  # of a worker that did better, and broke off
    client.put(result(batch="b", job=0, kind=kind, code=code, sentence="why", size_bytes=0))
    client.stop()
    assert client.files() == {}
    outcome = client.notes.outcomes[0]
    assert outcome.status is status
    assert outcome.failure is not None
    expected = code if code in list(Code) else "internal-error"
    assert (outcome.failure.code, outcome.failure.sentence) == (expected, "why")


@pytest.mark.parametrize("data", [b"", b"<html>" * 20], ids=["empty", "a page"])
def test_a_result_that_is_no_image_fails_and_leaves_no_file(client: Client, data: bytes) -> None:
    for frame in frames(data=data):
        client.put(*frame)
    client.stop()
    assert client.files() == {}
    outcome = client.notes.outcomes[0]
    assert outcome.status is Status.FAILED
    assert outcome.failure is not None
    assert outcome.failure.code is Code.DAMAGED_PAYLOAD
    assert result().machine in outcome.failure.sentence


def test_a_result_that_says_to_be_larger_than_any_image_fails(client: Client) -> None:
    client.put(result(batch="b", job=0, size_bytes=LARGEST_RESULT_BYTES + 1), DATA)
    client.stop()
    assert client.files() == {}
    failure = client.notes.outcomes[0].failure
    assert failure is not None
    assert failure.code is Code.DAMAGED_PAYLOAD


def test_a_result_that_breaks_off_leaves_no_file(client: Client) -> None:
    client.put(*frames()[0])
    client.put(*frames(job=1)[0])
    client.put(*frames()[2])  # a piece is missing
    client.stop()
    assert client.files() == {}
    assert client.notes.outcomes == {}


def test_a_failure_that_the_session_decides_is_told(client: Client) -> None:
    error = WorkerFailed(Code.WORKER_CRASHED, "three workers were lost")
    for action in client.session.fail(0, error):
        if isinstance(action, Fail):
            client.writer.put(action)
    client.stop()
    assert client.notes.outcomes[0].failure is not None
    assert client.notes.outcomes[0].failure.code is Code.WORKER_CRASHED


def test_a_file_that_can_not_be_written_fails_alone(client: Client) -> None:
    (client.folder / "0.jpg").mkdir()
    for job in range(2):
        for frame in frames(job=job):
            client.put(*frame)
    client.stop()
    assert client.notes.outcomes[0].status is Status.FAILED
    assert client.notes.outcomes[0].failure is not None
    assert client.notes.outcomes[0].failure.code is Code.OUTPUT_EXISTS
    assert client.notes.outcomes[1].status is Status.WRITTEN
    assert sorted(path.name for path in client.folder.iterdir()) == ["0.jpg", "1.jpg"]
    assert client.ended == [0, 1]


def test_a_lost_folder_ends_the_run(tmp_path: Path) -> None:
    client = Client(tmp_path / "gone")
    for frame in frames():
        client.put(*frame)
    client.stop()
    assert isinstance(client.errors[0], OutputError)
    assert client.notes.outcomes == {}


def test_an_error_in_who_is_told_ends_the_run_and_not_just_the_writer(client: Client) -> None:
    def fail(_outcome: object) -> None:
        raise OSError("the journal's disk is full")

    client.notes.finished = fail  # type: ignore[method-assign]
    for frame in frames():
        client.put(*frame)
    client.stop()
    assert isinstance(client.errors[0], OSError)
