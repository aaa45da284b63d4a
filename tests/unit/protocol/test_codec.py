"""Frames to bytes and back, whatever the bytes are."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.codec_fuzzer import KEPT_SEEDS, fuzz
from tests.support.frames import EXAMPLES, any_frame, result, ticket

from imgbatch.errors import (
    DamagedPayload,
    FrameTooLarge,
    MalformedFrame,
    ProtocolError,
    VersionMismatch,
)
from imgbatch.protocol import (
    PROTOCOL_VERSION,
    Discover,
    Frame,
    LeaseEnd,
    Returned,
    WireLimits,
    decode,
    decode_bundle,
    encode,
)

REFUSALS = (MalformedFrame, FrameTooLarge, VersionMismatch, DamagedPayload)


def sealed(head: bytes) -> bytes:
    """Return a message with a right checksum around whatever comes after it."""
    mark = b"\xcf" + xxhash.xxh3_64_digest(head)
    return bytes((0x95, PROTOCOL_VERSION)) + mark + head


def frame_of(kind: Any, values: Any, payload: bytes = b"") -> bytes:
    return sealed(msgpack.packb(kind) + msgpack.packb(values) + b"\xc4\x00" + payload)


def refusal_of(body: bytes) -> ProtocolError:
    with pytest.raises(REFUSALS) as caught:
        decode(body)
    assert type(caught.value) in REFUSALS
    return caught.value


@given(any_frame(), st.binary(max_size=300))
def test_every_frame_comes_back_as_it_was(frame: Frame, payload: bytes) -> None:
    received = decode(encode(frame, payload))
    assert received.frame == frame
    assert type(received.frame) is type(frame)
    assert received.payload == payload


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_payloads_are_any_bytes_in_memory(wrap: type) -> None:
    assert decode(encode(ticket(), wrap(b"abcd"))).payload == b"abcd"


@given(any_frame(), st.binary(max_size=300))
def test_a_frame_is_plain_msgpack(frame: Frame, payload: bytes) -> None:
    body = encode(frame, payload)
    version, checksum, kind, values, last = msgpack.unpackb(body, use_list=False)
    assert version == PROTOCOL_VERSION
    assert kind == type(frame).__name__.lower()
    assert values == {name: getattr(frame, name) for name in frame.__slots__}
    assert last == payload
    # The array's head and the version take a byte each, the checksum nine.
    assert checksum == xxhash.xxh3_64_intdigest(body[11:])


def test_the_payload_of_a_received_frame_is_the_message_itself() -> None:
    body = encode(ticket(size_bytes=1_000_000), bytes(1_000_000))
    tracemalloc.start()
    try:
        payload = decode(body).payload
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
    assert payload.readonly
    assert np.shares_memory(np.frombuffer(body, np.uint8), np.frombuffer(payload, np.uint8))


@pytest.mark.parametrize("mark", ["bin 8", "bin 16", "bin 32"])
def test_other_writers_may_use_the_shortest_length_of_a_payload(mark: str) -> None:
    lengths = {"bin 8": b"\xc4\x03", "bin 16": b"\xc5\x00\x03", "bin 32": b"\xc6\x00\x00\x00\x03"}
    head = msgpack.packb("discover") + msgpack.packb({"queue": "x"}) + lengths[mark] + b"abc"
    assert decode(sealed(head)).payload == b"abc"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_frame_cut_at_any_byte_is_refused(name: str) -> None:
    body = encode(*EXAMPLES[name])
    for length in range(len(body)):
        assert isinstance(refusal_of(body[:length]), MalformedFrame), length


@given(any_frame(), st.binary(max_size=50), st.binary(min_size=1, max_size=50))
def test_a_frame_with_bytes_to_spare_is_refused(frame: Frame, payload: bytes, spare: bytes) -> None:
    assert isinstance(refusal_of(encode(frame, payload) + spare), MalformedFrame)


_BUNDLES = st.lists(st.tuples(any_frame(), st.binary(max_size=50)), min_size=1, max_size=5)


@given(_BUNDLES)
def test_frames_one_behind_the_other_come_back_as_they_were(
    bundle: list[tuple[Frame, bytes]],
) -> None:
    body = b"".join(encode(frame, payload) for frame, payload in bundle)
    assert [(one.frame, one.payload) for one in decode_bundle(body)] == bundle


def test_the_payloads_of_a_bundle_are_the_message_itself() -> None:
    payloads = [bytes([number]) * 100_000 for number in range(3)]
    body = b"".join(encode(ticket(), payload) for payload in payloads)
    bundle = decode_bundle(body)
    assert [one.payload for one in bundle] == payloads
    whole = np.frombuffer(body, np.uint8)
    for one in bundle:
        assert one.payload.readonly
        assert np.shares_memory(whole, np.frombuffer(one.payload, np.uint8))


@given(_BUNDLES, st.binary(max_size=50), st.data())
def test_a_bundle_that_breaks_off_or_goes_on_as_no_frame_is_refused_as_a_whole(
    bundle: list[tuple[Frame, bytes]], payload: bytes, data: st.DataObject
) -> None:
    body = b"".join(encode(frame, payload) for frame, payload in bundle)
    last = encode(ticket(), payload)
    cut = last[: data.draw(st.integers(1, len(last) - 1))]
    with pytest.raises(MalformedFrame):
        decode_bundle(body + cut)
    with pytest.raises(REFUSALS):
        decode_bundle(cut + body)


@given(_BUNDLES, st.integers(min_value=0))
def test_a_flipped_bit_in_any_frame_spoils_its_bundle(
    bundle: list[tuple[Frame, bytes]], position: int
) -> None:
    body = bytearray(b"".join(encode(frame, payload) for frame, payload in bundle))
    bit = position % (len(body) * 8)
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(REFUSALS):
        decode_bundle(bytes(body))


def test_no_message_holds_more_frames_than_allowed() -> None:
    call = encode(Discover("x"))
    limits = WireLimits(frames=3)
    assert len(decode_bundle(call * 3, limits)) == 3
    with pytest.raises(FrameTooLarge):
        decode_bundle(call * 4, limits)


def test_nothing_is_no_bundle() -> None:
    with pytest.raises(MalformedFrame):
        decode_bundle(b"")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_flipped_bit_anywhere_is_noticed(name: str) -> None:
    body = bytearray(encode(*EXAMPLES[name]))
    for position in range(len(body) * 8):
        body[position // 8] ^= 1 << position % 8
        refusal_of(bytes(body))
        body[position // 8] ^= 1 << position % 8


@given(st.binary(min_size=1, max_size=200), st.integers(min_value=0))
def test_a_damaged_payload_is_told_with_what_the_frame_seems_to_say(
    payload: bytes, position: int
) -> None:
    body = bytearray(encode(ticket(), payload))
    body[-1 - position % len(payload)] ^= 0x10
    error = refusal_of(bytes(body))
    assert isinstance(error, DamagedPayload)
    assert error.frame == ticket()


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(body: bytes) -> None:
    refusal_of(body)


@given(st.binary(max_size=200))
def test_random_bytes_behind_a_right_checksum_are_refused(head: bytes) -> None:
    refusal_of(sealed(head))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9) | st.binary(max_size=9), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(frame=any_frame(), data=st.data())
def test_a_field_of_any_other_content_is_taken_or_refused_as_documented(
    frame: Frame, data: st.DataObject
) -> None:
    values = {name: getattr(frame, name) for name in frame.__slots__}
    values[data.draw(st.sampled_from(sorted(values)))] = data.draw(_ANY)
    try:
        received = decode(frame_of(type(frame).__name__.lower(), values)).frame
    except (MalformedFrame, FrameTooLarge):
        return
    assert encode(received)  # what is taken could have been sent


@given(kind=_ANY, values=_ANY)
def test_any_msgpack_in_the_place_of_kind_and_fields_is_refused(kind: Any, values: Any) -> None:
    refusal_of(frame_of(kind, values))


@given(frame=any_frame(), data=st.data())
def test_a_missing_field_is_named(frame: Frame, data: st.DataObject) -> None:
    values = {name: getattr(frame, name) for name in frame.__slots__}
    missing = data.draw(st.sampled_from(sorted(values)))
    del values[missing]
    error = refusal_of(frame_of(type(frame).__name__.lower(), values))
    assert isinstance(error, MalformedFrame)
    assert missing in str(error)


@given(any_frame(), st.dictionaries(st.text(min_size=30, max_size=40), _ANY, max_size=3))
def test_fields_that_a_reader_does_not_know_are_passed_over(
    frame: Frame, more: dict[str, Any]
) -> None:
    values = {name: getattr(frame, name) for name in frame.__slots__} | more
    assert decode(frame_of(type(frame).__name__.lower(), values)).frame == frame


@given(st.integers(-(2**63), 2**64 - 1).filter(lambda version: version != PROTOCOL_VERSION))
@example(0)
@example(1)
@example(3)
def test_another_version_is_refused_by_both_names(version: int) -> None:
    body = b"\x95" + msgpack.packb(version) + encode(Discover("x"))[2:]
    error = refusal_of(body)
    assert isinstance(error, VersionMismatch)
    assert f"version {version} " in str(error)
    assert f"version {PROTOCOL_VERSION}" in str(error)


@pytest.mark.parametrize("rest", [b"", b"\xc3", b"\x81\xa3new\xa6layout"])
def test_another_version_is_told_whatever_follows_it(rest: bytes) -> None:
    for head in (b"\x91", b"\x93", b"\xdc\x00\x07"):
        assert isinstance(refusal_of(head + b"\x03" + rest), VersionMismatch)


@pytest.mark.parametrize("version", [True, None, "1", 1.0, [1]])
def test_a_version_that_is_no_whole_number_is_no_frame(version: Any) -> None:
    body = b"\x95" + msgpack.packb(version) + encode(Discover("x"))[2:]
    assert isinstance(refusal_of(body), MalformedFrame)


def nested(opening: bytes, depth: int) -> bytes:
    return opening * depth + b"\xc0"


@pytest.mark.parametrize("depth", [10, 400, 511, 512, 900, 1000, 1023, 1024, 5000, 50_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1x"])
def test_deep_nesting_is_refused_in_any_place(opening: bytes, depth: int) -> None:
    deep = nested(opening, depth)
    call = msgpack.packb("discover")
    empty = b"\xc4\x00"
    for head in (deep, deep + b"\x80" + empty, call + deep + empty):
        assert isinstance(refusal_of(sealed(head)), MalformedFrame)
    assert isinstance(refusal_of(b"\x95" + deep), MalformedFrame)
    unknown = call + b"\x82\xa5queue\xa1x\xa1y" + deep + empty
    try:
        assert decode(sealed(unknown)).frame == Discover("x")
    except MalformedFrame:
        assert depth > 400


LIES = {
    "a string": b"\xdb\xff\xff\xff\xff",
    "bytes": b"\xc6\xff\xff\xff\xff",
    "a list": b"\xdd\xff\xff\xff\xff",
    "a list that could be": b"\xdd\x00\x00\xff\xff",
    "a map": b"\xdf\xff\xff\xff\xff",
    "an extension": b"\xc9\xff\xff\xff\xff\x05",
    "lists in lists": b"\xdd\x00\x00\xff\xff" * 1000,
    "short lists in lists": b"\xdc\x03\xe8" * 1000,
    "maps in maps": b"\xdf\x00\x00\xff\xff\xa1x" * 1000,
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", ["version", "checksum", "kind", "fields", "a field", "payload"])
def test_a_length_that_is_only_announced_costs_nothing(lie: str, place: str) -> None:
    announced = LIES[lie]
    call = msgpack.packb("discover")
    body = {
        "version": b"\x95" + announced,
        "checksum": b"\x95\x02" + announced,
        "kind": sealed(announced),
        "fields": sealed(call + announced),
        "a field": sealed(call + b"\x81\xa5queue" + announced),
        "payload": sealed(call + msgpack.packb({"queue": "x"}) + announced),
    }[place]
    tracemalloc.start()
    try:
        error = refusal_of(body)
        # 1,024 levels of 1,000 items of 8 bytes are the worst there is.
        assert tracemalloc.get_traced_memory()[1] < 9_000_000
    finally:
        tracemalloc.stop()
    assert isinstance(error, MalformedFrame | FrameTooLarge)
    assert len(str(error)) < 300


def test_an_announced_payload_over_the_limit_is_told_as_too_large() -> None:
    head = (
        msgpack.packb("discover") + msgpack.packb({"queue": "x"}) + struct.pack(">BI", 0xC6, 2**31)
    )
    error = refusal_of(sealed(head))
    assert isinstance(error, FrameTooLarge)
    assert str(2**31) in str(error)


def test_limits_are_the_readers() -> None:
    body = encode(LeaseEnd("b"), bytes(100))
    assert len(decode(body, WireLimits(head_bytes=50, payload_bytes=100)).payload) == 100
    with pytest.raises(FrameTooLarge, match="100 bytes; 99 are allowed"):
        decode(body, WireLimits(payload_bytes=99))
    with pytest.raises((FrameTooLarge, MalformedFrame)):
        decode(body, WireLimits(head_bytes=20))


def test_nobody_can_send_what_nobody_would_accept() -> None:
    with pytest.raises(FrameTooLarge, match="job is -1"):
        encode(ticket(job=-1))
    with pytest.raises(MalformedFrame, match="topic"):
        encode(ticket(topic=None))
    with pytest.raises(FrameTooLarge, match="1000 are allowed"):
        encode(Returned("b", tuple(range(1001)), "m"))
    with pytest.raises(FrameTooLarge, match="payload"):
        encode(ticket(), bytes(16 * 2**20 + 1))
    with pytest.raises(FrameTooLarge, match="the fields of a frame take more"):
        encode(result(notes=("\U0001f600" * 200,) * 100))


@given(any_frame(), st.binary(min_size=40, max_size=100))
def test_frames_are_shown_without_their_payloads(frame: Frame, payload: bytes) -> None:
    shown = repr(decode(encode(frame, payload)))
    assert f"{len(payload)} bytes" in shown
    assert repr(payload)[2:-1] not in shown
    assert payload.hex() not in shown


@settings(max_examples=30)
@given(any_frame())
def test_the_same_frame_has_the_same_bytes(frame: Frame) -> None:
    assert encode(frame, b"x") == encode(frame, b"x")


def test_whatever_becomes_of_a_frame_it_is_taken_as_it_was_or_refused() -> None:
    """A million more are tried in the slow lane."""
    assert fuzz(KEPT_SEEDS).total() == len(KEPT_SEEDS)
