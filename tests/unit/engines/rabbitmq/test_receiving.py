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
from tests.support.tickets import delivered

from imgbatch.batch.model import Job, Status
from imgbatch.batch.write import OutputPolicy as Placement
from imgbatch.broker.consumer import Delivery
from imgbatch.engines.rabbitmq.desk import Desk
from imgbatch.engines.rabbitmq.machines import MachineRegistry
from imgbatch.engines.rabbitmq.offers import DOUBTED, Offers
from imgbatch.engines.rabbitmq.receiving import LARGEST_RESULT_BYTES, RECEIPTS, Receipts, Writers
from imgbatch.errors import Code, OutputError
from imgbatch.protocol import Chunk, Frame, Received
from imgbatch.protocol.slicing import pieces

DATA = bytes(range(100))


@dataclass
class Client:
    """Writers at work in a folder, with `count` images in flight."""

    folder: Path
    count: int = 2
    notes: Notes = field(default_factory=Notes)
    acknowledged: list[int] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.desk = Desk(Offers(), MachineRegistry(None, mixed=False), self.notes)
        for index in range(self.count):
            target = self.folder / f"{index}.jpg"
            self.desk.offers.add([Job(index, Path("in"), target, 4, 10**9, 0o640)], 0.0)
        self.writers = Writers(
            self.desk,
            Placement(folder=self.folder),
            lambda *deliveries: self.acknowledged.extend(item.tag for item in deliveries),
            self.desk.offers.doubt,
        )
        self.writers.start()

    def put(self, frame: Frame, payload: bytes = b"") -> None:
        self.sent += 1
        delivery = delivered(self.sent)
        received = Received(frame, memoryview(payload))
        self.writers.put(delivery, received, frame.job)  # type: ignore[union-attr]

    def stop(self) -> None:
        self.writers.stop()
        assert len(self.acknowledged) == self.sent - self.sent % RECEIPTS
        assert len(set(self.acknowledged)) == len(self.acknowledged)
        assert set(self.acknowledged) <= set(range(1, self.sent + 1))

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


def test_deliveries_are_acknowledged_four_at_a_time_each_once() -> None:
    calls: list[tuple[Delivery, ...]] = []
    receipts = Receipts(lambda *deliveries: calls.append(deliveries))
    for tag in range(1, 11):
        receipts.add(delivered(tag))
    assert [[delivery.tag for delivery in call] for call in calls] == [[1, 2, 3, 4], [5, 6, 7, 8]]


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
    assert [(use.images, use.busy_seconds) for use in client.desk.fleet.uses] == [(1, 0.125)]


def test_a_result_that_comes_twice_is_written_and_told_once(client: Client) -> None:
    for transfer in (1, 2):
        for frame in frames(transfer=transfer, data=DATA if transfer == 1 else DATA[::-1]):
            client.put(*frame)
    client.stop()
    assert client.files() == {"0.jpg": DATA}
    assert client.notes.told_twice == []
    assert client.desk.offers.repeated == 1


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
    for index in range(2):
        offer = client.desk.offers.find(index)
        # Two that overtook one another piece by piece spoil each other, and are asked for again.
        assert (f"{index}.jpg" in written) == (offer is None)
        assert (offer is None) == (index in client.notes.outcomes)


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


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sent: sent[:1] + sent[2:],
        lambda sent: [sent[0], (sent[1][0], sent[1][1] * 4)],
        lambda sent: [sent[0], (sent[1][0], b"")],
        lambda sent: [(sent[0][0], DATA + b"more")],
    ],
    ids=["a piece is missing", "too much", "nothing", "too much at once"],
)
def test_a_result_that_does_not_come_whole_is_asked_for_again(client: Client, spoil: Any) -> None:
    for frame in spoil(frames()):
        client.put(*frame)
    client.put(*frames(job=1)[0])
    client.stop()
    assert client.files() == {}
    assert client.notes.outcomes == {}
    offer = client.desk.offers.find(0)
    assert offer is not None
    assert offer.heard_seconds == DOUBTED
    assert client.desk.error is None


def test_after_a_spoilt_result_the_next_one_is_written(client: Client) -> None:
    sent = frames()
    client.put(*sent[0])
    client.put(*sent[2])
    for frame in frames(transfer=2):
        client.put(*frame)
    client.stop()
    assert client.files() == {"0.jpg": DATA}


def test_pieces_of_no_known_sending_are_passed_over(client: Client) -> None:
    client.put(Chunk("b", 0, 99, 0, 4), b"abcd")
    client.put(Chunk("b", 77, 1, 0, 4), b"abcd")
    client.put(*frames(job=77)[0])
    client.put(*frames()[0])
    client.put(Chunk("b", 0, 99, 30, 100), b"abcd")
    client.stop()
    assert client.files() == {}
    assert client.notes.outcomes == {}
    assert client.desk.offers.repeated == 1


def test_nonsense_of_a_size_is_refused(client: Client) -> None:
    client.put(result(batch="b", job=0, size_bytes=LARGEST_RESULT_BYTES + 1), b"x")
    client.stop()
    assert client.files() == {}
    assert client.desk.error is None


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


def test_a_lost_folder_ends_the_run(tmp_path: Path) -> None:
    client = Client(tmp_path / "gone")
    for frame in frames():
        client.put(*frame)
    client.stop()
    assert isinstance(client.desk.error, OutputError)
    assert client.notes.outcomes == {}


def test_an_error_in_who_is_told_ends_the_run_and_not_just_the_writer(client: Client) -> None:
    def fail(_outcome: object) -> None:
        raise OSError("the journal's disk is full")

    client.notes.finished = fail  # type: ignore[method-assign]
    for frame in frames():
        client.put(*frame)
    client.stop()
    assert isinstance(client.desk.error, OSError)
    assert client.desk.is_over
