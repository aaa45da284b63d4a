from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from imgbatch.adjustment import Adjustment
from imgbatch.batch.model import Failure, Job, Outcome, Status
from imgbatch.batch.write import OutputPolicy
from imgbatch.engines.local.messages import (
    LARGEST_BYTES,
    Done,
    Order,
    Ready,
    Setup,
    Stuck,
    pack_answer,
    pack_order,
    pack_setup,
    unpack_answer,
    unpack_order,
    unpack_setup,
)
from imgbatch.errors import Code
from imgbatch.images.limits import Limits
from imgbatch.recipe import Encoding, OutputFormat, Recipe

ODD_NAME = Path("/photos/caf\udce9 \n\U0001f4f7.jpg")


def test_a_setup_comes_back_whole() -> None:
    recipe = Recipe(Adjustment(1, -2, 3), Encoding(OutputFormat.JPEG, 80))
    for folder in (None, ODD_NAME):
        setup = Setup(recipe, Limits(1000, 2000), OutputPolicy(False, True, folder))
        assert unpack_setup(pack_setup(setup)) == setup


def test_an_order_comes_back_whole_also_with_a_name_that_is_no_text() -> None:
    order = Order(Job(7, ODD_NAME, ODD_NAME, 2**40, 1_700_000_000_123_456_789, 0o644), again=True)
    assert unpack_order(pack_order(order)) == order


@given(
    st.builds(
        Outcome,
        index=st.integers(0, 2**40),
        status=st.sampled_from(Status),
        failure=st.none() | st.builds(Failure, st.sampled_from(Code), st.text()),
        seconds=st.floats(0, 1e6),
        width_pixels=st.integers(0, 2**31),
        height_pixels=st.integers(0, 2**31),
        bytes_out=st.integers(0, 2**40),
        notes=st.lists(st.text("abc-", min_size=1)).map(tuple),
    ),
    st.integers(0, 2**40),
)
def test_an_answer_comes_back_whole(outcome: Outcome, resident_bytes: int) -> None:
    answer = Done(outcome, resident_bytes)
    assert unpack_answer(pack_answer(answer)) == answer


def test_the_short_answers_come_back_whole() -> None:
    stuck = Stuck(Failure(Code.DISK_FULL, f"no room for {ODD_NAME}"))
    assert unpack_answer(pack_answer(Ready())) == Ready()
    assert unpack_answer(pack_answer(stuck)) == stuck


def test_the_longest_message_fits_a_packet() -> None:
    longest = Path("/" + "x" * 4095)
    order = Order(Job(2**62, longest, longest, 2**62, 2**62, 0o777))
    sentence = f"{longest} {longest} can't be written"
    failed = Outcome(2**62, Status.FAILED, Failure(Code.OUTPUT_UNWRITABLE, sentence))
    assert len(pack_order(order)) < LARGEST_BYTES
    assert len(pack_answer(Done(failed, 2**62))) < LARGEST_BYTES
