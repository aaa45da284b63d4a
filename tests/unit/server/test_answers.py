"""From what the pipeline made of an image to the frames that tell its client."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frames import MACHINE, ticket

from imgbatch.broker.publisher import Message, Publisher, Settlement
from imgbatch.errors import Code, DamagedImage, ImageError, SkippedFile
from imgbatch.pipeline import Processed
from imgbatch.protocol import Chunk, Result, decode
from imgbatch.protocol.assembly import Assembly
from imgbatch.protocol.slicing import BUNDLE_BYTES, CHUNK_BYTES, MOST_FRAMES_PER_BUNDLE
from imgbatch.server import answers
from imgbatch.server.answers import ResultBundle, Sending, failure_of, frames_of, result_of


def processed(data: bytes) -> Processed:
    return Processed(data, 40, 30, ("icc-dropped",))


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
def test_a_result_travels_in_pieces_that_put_together_are_the_file(size: int) -> None:
    data = bytes(itertools.islice(itertools.cycle(range(251)), size))
    received = [
        decode(body)
        for body in frames_of(result_of(ticket(), MACHINE, 99, 0.5, processed(data)), data)
    ]
    first, *others = received
    assert isinstance(first.frame, Result)
    assert (first.frame.kind, first.frame.size_bytes) == ("done", size)
    assert (first.frame.width_pixels, first.frame.height_pixels) == (40, 30)
    assert first.frame.notes == ("icc-dropped",)
    assembly, offset, whole = Assembly(size, size), 0, None
    for piece in received:
        assert piece.frame.transfer == 99  # type: ignore[union-attr]
        whole = assembly.add(offset, piece.payload)
        offset += len(piece.payload)
    assert whole == data
    offsets = [piece.frame.offset_bytes for piece in others if isinstance(piece.frame, Chunk)]
    assert offsets == list(range(CHUNK_BYTES, size, CHUNK_BYTES))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DamagedImage(Code.TRUNCATED_IMAGE, "it breaks off"), "failed"),
        (SkippedFile(Code.NOT_AN_IMAGE, "it is a diary"), "skipped"),
    ],
)
def test_a_failure_says_why(error: ImageError, kind: str) -> None:
    result = failure_of(ticket(), MACHINE, 1, 0.5, error)
    (body,) = frames_of(result, b"")
    received = decode(body)
    assert received.frame == result
    assert (result.kind, result.code, result.sentence) == (kind, error.code, error.sentence)
    assert received.payload == b""


@given(st.text())
def test_whatever_a_codec_says_can_be_sent(sentence: str) -> None:
    error = DamagedImage(Code.DAMAGED_IMAGE, sentence * 300)
    (body,) = frames_of(failure_of(ticket(), MACHINE, 1, 0.5, error), b"")
    assert len(decode(body).frame.sentence) <= 2000  # type: ignore[union-attr]


class Outbox(Publisher):
    """Takes messages, and settles them when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, object]] = []

    def publish(self, message: Message, settled: object = None) -> None:  # type: ignore[override]
        self.sent.append((message, settled))

    def settle(self, number: int, settlement: Settlement) -> None:
        self.sent[number][1](settlement)  # type: ignore[operator]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_result_is_settled_once_when_all_its_frames_are(order: tuple[int, ...]) -> None:
    told: list[Settlement] = []
    outbox, sending = Outbox(), Sending(told.append)
    sending.publish(outbox, "clients", "topic", iter([b"1", b"2", b"3"]))
    assert [message for message, _ in outbox.sent] == [
        Message("clients", "topic", body) for body in (b"1", b"2", b"3")
    ]
    for number in order:
        assert told == []
        outbox.settle(number, Settlement.CONFIRMED)
    assert told == [Settlement.CONFIRMED]


@pytest.mark.parametrize("worst", [Settlement.RETURNED, Settlement.REFUSED])
@pytest.mark.parametrize("number", range(3))
def test_one_frame_that_was_not_taken_means_the_result_was_not(
    worst: Settlement, number: int
) -> None:
    told: list[Settlement] = []
    outbox, sending = Outbox(), Sending(told.append)
    sending.publish(outbox, "clients", "topic", iter([b"1", b"2", b"3"]))
    for frame in range(3):
        outbox.settle(frame, worst if frame == number else Settlement.CONFIRMED)
    assert told == [worst]


def test_frames_that_are_settled_while_others_are_made_settle_nothing_yet() -> None:
    told: list[Settlement] = []
    outbox, sending = Outbox(), Sending(told.append)

    def bodies() -> object:
        yield b"1"
        outbox.settle(0, Settlement.CONFIRMED)
        assert told == []
        yield b"2"

    sending.publish(outbox, "clients", "topic", bodies())  # type: ignore[arg-type]
    assert told == []
    outbox.settle(1, Settlement.CONFIRMED)
    assert told == [Settlement.CONFIRMED]


def bundle_for(outbox: Outbox) -> ResultBundle:
    return ResultBundle(outbox, "clients")


def test_small_results_leave_together_and_are_each_settled_once() -> None:
    told: list[tuple[int, Settlement]] = []
    outbox = Outbox()
    bundle = bundle_for(outbox)
    for number in range(3):
        bundle.add(
            "topic",
            b"%d" % number,
            lambda settlement, number=number: told.append((number, settlement)),
        )
    assert outbox.sent == []
    bundle.send()
    bundle.send()
    assert [message for message, _ in outbox.sent] == [Message("clients", "topic", b"012")]
    assert told == []
    outbox.settle(0, Settlement.RETURNED)
    assert told == [(number, Settlement.RETURNED) for number in range(3)]


def ignore(_settlement: Settlement) -> None:
    """Whatever it is."""


@pytest.mark.parametrize(
    ("size", "together"),
    [(1, MOST_FRAMES_PER_BUNDLE), (BUNDLE_BYTES // 4, 4), (2**20, 1)],
)
def test_as_many_leave_as_make_a_message_worth_its_turn(size: int, together: int) -> None:
    outbox = Outbox()
    bundle = bundle_for(outbox)
    for _ in range(together):
        assert outbox.sent == []
        bundle.add("topic", bytes(size), ignore)
    assert [len(message.body) for message, _ in outbox.sent] == [together * size]


def test_a_result_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(answers.time, "monotonic", lambda: now[0])
    outbox = Outbox()
    bundle = bundle_for(outbox)
    bundle.add("topic", b"1", ignore)
    now[0] += answers.LONGEST_WAIT_SECONDS
    bundle.add("topic", b"2", ignore)
    bundle.add("topic", b"3", ignore)
    assert [message.body for message, _ in outbox.sent] == [b"12"]


def test_each_client_gets_its_own_results() -> None:
    outbox = Outbox()
    bundle = bundle_for(outbox)
    for topic, body in (("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")):
        bundle.add(topic, body, ignore)
    bundle.send()
    assert [(message.routing_key, message.body) for message, _ in outbox.sent] == [
        ("a", b"12"),
        ("b", b"3"),
        ("a", b"4"),
    ]
