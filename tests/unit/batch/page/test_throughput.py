from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.batch.page.throughput import MOST_COLUMNS, SHADES, Throughput, round_top

ENDS = st.lists(
    st.tuples(st.floats(0, 1e6), st.sampled_from(["a", "b", "c", "d", "e", "f", "g", ""])),
    max_size=50,
)


def throughput(ends, seconds, machines):
    def counted(step_seconds):
        keys = ((int(end / step_seconds), machine) for end, machine in ends)
        return [(*key, count) for key, count in Counter(keys).items()]

    return Throughput(seconds, len(ends), machines, counted)


@given(ENDS, st.floats(0, 1e6))
def test_every_image_is_counted_once_though_it_ended_after_the_run(ends, seconds):
    counted = throughput(ends, seconds, list("abcdefg"))
    assert sum(map(sum, counted.counts.values())) == counted.images == len(ends)
    assert counted.columns <= MOST_COLUMNS + 1
    assert len(counted.counts) <= SHADES


@given(ENDS, st.floats(0, 1e6))
def test_no_column_is_higher_than_the_chart(ends, seconds):
    counted = throughput(ends, seconds, list("abcdefg"))
    stacks = list(counted.stacks())
    assert sum(images for _, _, _, images, _ in stacks) == len(ends)
    for column, shade, _, images, below in stacks:
        assert column < counted.columns
        assert shade < SHADES
        assert (images + below) / counted.step_seconds <= counted.top_per_second * (1 + 1e-9)


def test_images_are_counted_where_and_when_they_ended():
    ends = [(0.5, "a"), (0.6, "a"), (1.5, "b"), (7.9, "a")]
    counted = throughput(ends, 8, ["a", "b"])
    assert counted.step_seconds == 1
    assert counted.counts == {"a": [2, 0, 0, 0, 0, 0, 0, 1, 0], "b": [0, 1, 0, 0, 0, 0, 0, 0, 0]}
    assert counted.top_per_second == 2


def test_machines_beyond_the_shades_share_the_last():
    machines = [f"m{number}" for number in range(9)]
    counted = throughput([(1.0, machine) for machine in machines], 2, machines)
    assert list(counted.counts) == machines[:SHADES]
    assert sum(counted.counts[machines[SHADES - 1]]) == 5


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (0.03, 0.03), (0.07, 0.08), (1, 1), (9, 10), (23, 30), (61, 80), (999, 1000)],
)
def test_the_axis_ends_at_a_round_number(value, top):
    assert round_top(value) == pytest.approx(top)


@given(st.floats(1e-6, 1e6))
def test_the_axis_holds_the_peak_and_little_more(value):
    assert value <= round_top(value) <= 2 * value * (1 + 1e-9)
