"""Frames to bytes and back, whatever the bytes are."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from blake3 import blake3
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.codec_fuzzer import KEPT_SEEDS, fuzz
from tests.support.frames import (
    BATCH,
    EVERY,
    EXAMPLES,
    SECRET,
    any_frame,
    enlistment,
    fields_of,
    forged,
    read,
    result,
    sealed,
    ticket,
    written,
)

from imgbatch.errors import (
    DamagedPayload,
    FrameTooLarge,
    MalformedFrame,
    ProtocolError,
    VersionMismatch,
)
from imgbatch.protocol.codec import (
    LARGEST_FIELDS_BYTES,
    LARGEST_PAYLOAD_BYTES,
    MOST_FRAMES,
    batch_of,
    decode,
    encode,
)
from imgbatch.protocol.fields import LONGEST_SENTENCE, sentence_of
from imgbatch.protocol.frames import (
    PROTOCOL_VERSION,
    BatchStatus,
    Discover,
    Frame,
    Lease,
    LeaseEnd,
    ResultKind,
    Returned,
    ServerStatus,
)

REFUSALS = (MalformedFrame, FrameTooLarge, VersionMismatch, DamagedPayload)
DISCOVER = {"frame": "discover", "queue": "x"}
_SECRETS = st.binary(min_size=32, max_size=32)


def frame_of(fields: Any) -> bytes:
    return sealed(msgpack.packb(fields), key=SECRET)


def refusal_of(body: bytes) -> ProtocolError:
    with pytest.raises(REFUSALS) as caught:
        decode(body, EVERY)
    assert type(caught.value) in REFUSALS
    return caught.value


def belongs_to_a_batch(frame: Frame) -> bool:
    return not isinstance(frame, Discover | ServerStatus | BatchStatus)


@given(any_frame(), st.binary(max_size=300))
def test_every_frame_comes_back_as_it_was(frame: Frame, payload: bytes) -> None:
    received = read(written(frame, payload))
    assert received.frame == frame
    assert type(received.frame) is type(frame)
    assert received.payload == payload


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_payloads_are_any_bytes_in_memory(wrap: type) -> None:
    assert read(written(ticket(), wrap(b"abcd"))).payload == b"abcd"


@given(any_frame(), st.binary(max_size=300))
def test_other_libraries_read_the_same(frame: Frame, payload: bytes) -> None:
    body = written(frame, payload)
    magic, version, fields_bytes, payload_bytes, found = struct.unpack_from(">2sBHI16s", body)
    assert (magic, version) == (b"ib", PROTOCOL_VERSION)
    assert msgpack.unpackb(body[25 : 25 + fields_bytes], use_list=False) == fields_of(frame)
    assert body[25 + fields_bytes :] == payload
    assert payload_bytes == len(payload)
    secret = SECRET if belongs_to_a_batch(frame) else bytes(32)
    secret = getattr(frame, "secret", secret)
    assert found == blake3(body[:9] + body[25:], key=secret).digest(length=16)


def test_the_payload_of_a_received_frame_is_the_message_itself() -> None:
    body = written(ticket(size_bytes=1_000_000), bytes(1_000_000))
    tracemalloc.start()
    try:
        payload = read(body).payload
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
    assert payload.readonly
    assert np.shares_memory(np.frombuffer(body, np.uint8), np.frombuffer(payload, np.uint8))


# Who wrote it


@given(any_frame().filter(belongs_to_a_batch), st.binary(max_size=50), _SECRETS)
def test_no_frame_of_a_batch_is_taken_from_who_does_not_know_its_secret(
    frame: Frame, payload: bytes, other: bytes
) -> None:
    batch = frame.batch  # type: ignore[union-attr]
    assume(getattr(frame, "secret", SECRET) not in (other, bytes(32)))
    strangers = [
        forged(frame, key=bytes(32)),
        forged(frame, key=other),
        sealed(msgpack.packb(fields_of(frame)), payload, other),
    ]
    if isinstance(frame, Lease | LeaseEnd):
        strangers = [forged(frame, key=other, secret=other), forged(frame, key=bytes(32))]
    for body in strangers:
        with pytest.raises(DamagedPayload):
            decode(body, {batch: SECRET})
    assert read(written(frame, payload)).frame == frame


@given(any_frame().filter(belongs_to_a_batch))
def test_a_frame_of_a_batch_that_one_has_no_part_in_is_refused(frame: Frame) -> None:
    if not isinstance(frame, Lease | LeaseEnd):
        with pytest.raises(DamagedPayload):
            decode(written(frame))
        with pytest.raises(DamagedPayload):
            encode(frame)


def test_a_lease_shows_its_own_right_to_be_believed() -> None:
    """The id of a batch is made of its secret: another's can't be leased, renewed or ended."""
    (received,) = decode(written(enlistment()))
    assert received.frame == enlistment()
    for body in (
        forged(enlistment(), key=SECRET, batch="another"),
        forged(enlistment(secret=bytes(32)), batch=BATCH),
        forged(LeaseEnd(BATCH, bytes(32))),
    ):
        assert isinstance(refusal_of(body), DamagedPayload)


def test_the_id_of_a_batch_tells_nothing_of_its_secret_and_is_no_other_ones() -> None:
    ids = {batch_of(bytes([number]) * 32) for number in range(256)}
    assert len(ids) == 256
    assert all(len(batch) == 32 and int(batch, 16) >= 0 for batch in ids)
    assert blake3(SECRET).hexdigest(length=16) != BATCH


def test_secrets_are_not_shown() -> None:
    lease = enlistment(secret=b"S" * 32)
    assert "SSS" not in repr(lease) + repr(read(written(lease)))
    assert lease.batch in repr(lease)


# What is damaged


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_frame_cut_at_any_byte_is_refused(name: str) -> None:
    body = written(*EXAMPLES[name])
    for length in range(len(body)):
        assert isinstance(refusal_of(body[:length]), MalformedFrame), length


@given(any_frame(), st.binary(max_size=50), st.binary(min_size=1, max_size=50))
def test_a_frame_with_bytes_to_spare_is_refused(frame: Frame, payload: bytes, spare: bytes) -> None:
    assert isinstance(refusal_of(written(frame, payload) + spare), MalformedFrame)


_BUNDLES = st.lists(st.tuples(any_frame(), st.binary(max_size=50)), min_size=1, max_size=5)


@given(_BUNDLES)
def test_frames_one_behind_the_other_come_back_as_they_were(
    bundle: list[tuple[Frame, bytes]],
) -> None:
    body = b"".join(written(frame, payload) for frame, payload in bundle)
    assert [(one.frame, one.payload) for one in decode(body, EVERY)] == bundle


def test_the_payloads_of_a_bundle_are_the_message_itself() -> None:
    payloads = [bytes([number]) * 100_000 for number in range(3)]
    body = b"".join(written(ticket(), payload) for payload in payloads)
    bundle = decode(body, EVERY)
    assert [one.payload for one in bundle] == payloads
    whole = np.frombuffer(body, np.uint8)
    for one in bundle:
        assert one.payload.readonly
        assert np.shares_memory(whole, np.frombuffer(one.payload, np.uint8))


@given(_BUNDLES, st.binary(max_size=50), st.data())
def test_a_bundle_that_breaks_off_or_goes_on_as_no_frame_is_refused_as_a_whole(
    bundle: list[tuple[Frame, bytes]], payload: bytes, data: st.DataObject
) -> None:
    body = b"".join(written(frame, payload) for frame, payload in bundle)
    last = written(ticket(), payload)
    cut = last[: data.draw(st.integers(1, len(last) - 1))]
    assert isinstance(refusal_of(body + cut), MalformedFrame)
    refusal_of(cut + body)


@given(_BUNDLES, st.integers(min_value=0))
def test_a_flipped_bit_in_any_frame_spoils_its_bundle(
    bundle: list[tuple[Frame, bytes]], position: int
) -> None:
    body = bytearray(b"".join(written(frame, payload) for frame, payload in bundle))
    bit = position % (len(body) * 8)
    body[bit // 8] ^= 1 << bit % 8
    refusal_of(bytes(body))


def test_no_message_holds_more_frames_than_allowed() -> None:
    one = written(Discover("x"))
    assert len(decode(one * MOST_FRAMES)) == MOST_FRAMES
    assert isinstance(refusal_of(one * (MOST_FRAMES + 1)), FrameTooLarge)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_flipped_bit_anywhere_is_noticed(name: str) -> None:
    body = bytearray(written(*EXAMPLES[name]))
    for position in range(len(body) * 8):
        body[position // 8] ^= 1 << position % 8
        refusal_of(bytes(body))
        body[position // 8] ^= 1 << position % 8


@given(st.binary(max_size=400))
def test_random_bytes_are_refused(body: bytes) -> None:
    refusal_of(body)


@given(st.binary(max_size=200))
def test_random_bytes_behind_a_right_hash_are_refused(fields: bytes) -> None:
    refusal_of(sealed(fields))


# What is not as documented

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
    fields = fields_of(frame)
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(_ANY)
    for key in (SECRET, bytes(32)):
        try:
            (received,) = decode(sealed(msgpack.packb(fields), key=key), EVERY)
        except REFUSALS:
            continue
        assert written(received.frame)  # what is taken could have been sent


@given(_ANY)
def test_any_msgpack_in_the_place_of_the_fields_is_refused(fields: Any) -> None:
    refusal_of(frame_of(fields))


@given(frame=any_frame(), data=st.data())
def test_a_missing_field_is_named(frame: Frame, data: st.DataObject) -> None:
    fields = fields_of(frame)
    optional = {"reference", "places", "allowed", "waits_for"}
    missing = data.draw(st.sampled_from(sorted(fields.keys() - optional)))
    del fields[missing]
    error = refusal_of(frame_of(fields))
    assert isinstance(error, MalformedFrame)
    assert missing in str(error)


@given(any_frame(), st.dictionaries(st.text(min_size=30, max_size=40), _ANY, max_size=3))
def test_fields_that_a_reader_does_not_know_are_passed_over(
    frame: Frame, more: dict[str, Any]
) -> None:
    key = SECRET if belongs_to_a_batch(frame) else bytes(32)
    body = sealed(msgpack.packb(fields_of(frame) | more), key=getattr(frame, "secret", key))
    assert read(body).frame == frame


@given(st.integers(0, 255).filter(lambda version: version != PROTOCOL_VERSION), st.binary())
@example(1, b"")
@example(3, b"")
def test_another_version_is_refused_by_both_names_whatever_follows(
    version: int, rest: bytes
) -> None:
    error = refusal_of(b"ib" + bytes([version]) + rest)
    assert isinstance(error, VersionMismatch)
    assert f"version {version} " in str(error)
    assert f"version {PROTOCOL_VERSION}" in str(error)


@pytest.mark.parametrize("depth", [10, 400, 511, 512, 900, 1000, 1023, 1024, 5000, 30_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1x"])
def test_deep_nesting_is_refused_in_any_place(opening: bytes, depth: int) -> None:
    deep = (opening * depth + b"\xc0")[-65_000:]
    head = b"\xa5frame\xa8discover\xa5queue"
    for fields in (deep, b"\x82" + head + deep):
        assert isinstance(refusal_of(sealed(fields)), MalformedFrame)
    try:
        assert read(sealed(b"\x83" + head + b"\xa1x\xa1y" + deep)).frame == Discover("x")
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
PLACES = {
    "all": b"",
    "kind": b"\x82\xa5frame",
    "a text": b"\x82\xa5frame\xa8discover\xa5queue",
    "a list": b"\x84\xa5frame\xa8returned\xa4jobs",
    "a map": b"\x83\xa5frame\xa6ticket\xa6recipe",
    "what is not known": b"\x83\xa5frame\xa8discover\xa1u",
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("place", PLACES)
def test_a_length_that_is_only_announced_costs_nothing(lie: str, place: str) -> None:
    body = sealed(PLACES[place] + LIES[lie])
    tracemalloc.start()
    try:
        error = refusal_of(body)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert isinstance(error, MalformedFrame)
    assert len(str(error)) < 300


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_is_refused_is_told_in_characters_that_can_be_shown(text: str) -> None:
    for fields in ({"frame": text}, DISCOVER | {"queue": text + "\x1b"}, {"frame": "?", text: 1}):
        assert str(refusal_of(frame_of(fields))).isprintable()


@pytest.mark.parametrize("size_bytes", [LARGEST_PAYLOAD_BYTES + 1, 2**32 - 1])
def test_an_announced_payload_over_the_limit_is_told_as_too_large(size_bytes: int) -> None:
    fields = msgpack.packb(DISCOVER)
    start = struct.pack(">2sBHI", b"ib", PROTOCOL_VERSION, len(fields), size_bytes)
    error = refusal_of(sealed(fields, start=start))
    assert isinstance(error, FrameTooLarge)
    assert str(size_bytes) in str(error)


@given(st.text(), st.sampled_from([1, LONGEST_SENTENCE]))
@example("\ud800\n", 1)
def test_a_sentence_may_quote_anything(text: str, times: int) -> None:
    frame = result(sentence=sentence_of(text * times))
    assert read(written(frame)).frame == frame


def test_nothing_can_be_sent_that_no_reader_would_accept() -> None:
    with pytest.raises(MalformedFrame, match="job"):
        written(ticket(job=-1))
    with pytest.raises(MalformedFrame, match="queue"):
        written(Discover("imgbatch.#"))
    with pytest.raises(MalformedFrame, match="1000"):
        written(Returned("b", tuple(range(1001)), "m"))
    with pytest.raises(FrameTooLarge, match="payload"):
        written(ticket(), bytes(LARGEST_PAYLOAD_BYTES + 1))
    with pytest.raises(FrameTooLarge, match=f"more than {LARGEST_FIELDS_BYTES}"):
        written(result(notes=("\U0001f600" * 200,) * 100))
    with pytest.raises(DamagedPayload):
        written(replace(enlistment(), batch="another"))


@given(any_frame(), st.binary(min_size=40, max_size=100))
def test_frames_are_shown_without_their_payloads(frame: Frame, payload: bytes) -> None:
    shown = repr(read(written(frame, payload)))
    assert f"{len(payload)} bytes" in shown
    assert repr(payload)[2:-1] not in shown
    assert payload.hex() not in shown


@settings(max_examples=30)
@given(any_frame())
def test_the_same_frame_has_the_same_bytes(frame: Frame) -> None:
    assert written(frame, b"x") == written(frame, b"x")


def test_what_became_of_an_image_is_one_of_three_words() -> None:
    assert read(written(result())).frame.kind is ResultKind.DONE  # type: ignore[union-attr]
    assert isinstance(refusal_of(forged(result(), kind="maybe")), MalformedFrame)


def test_whatever_becomes_of_a_frame_it_is_taken_as_it_was_or_refused() -> None:
    """A million more are tried in the slow lane."""
    assert fuzz(KEPT_SEEDS).total() == len(KEPT_SEEDS)
