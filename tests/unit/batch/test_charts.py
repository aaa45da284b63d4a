from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.batch.charts import (
    MOST_COLUMNS,
    SHADES,
    bar_svg,
    round_top,
    seconds_text,
    throughput,
    throughput_svg,
)

ENDS = st.lists(
    st.tuples(st.floats(0, 1e6), st.sampled_from(["a", "b", "c", "d", "e", "f", "g", ""])),
    max_size=50,
)


@given(ENDS, st.floats(0, 1e6))
def test_every_image_is_counted_once(ends, seconds):
    rates = throughput(ends, seconds, list("abcdefg"))
    assert sum(map(sum, rates.counts.values())) == len(ends)
    assert rates.columns <= MOST_COLUMNS + 1
    assert len(rates.counts) <= SHADES


@given(ENDS, st.floats(0, 1e6))
def test_a_chart_stays_within_its_frame(ends, seconds):
    rates = throughput(ends, seconds, list("abcdefg"))
    svg = ET.fromstring(throughput_svg(rates, round_top(rates.peak_per_second), {"a": "<b&>"}))
    for rectangle in svg.iter("rect"):
        x, y, width, height = (float(rectangle.get(key)) for key in ("x", "y", "width", "height"))
        assert -0.01 <= x <= x + width <= 600.01
        assert -0.02 <= y <= y + height <= 160.02


def test_images_are_counted_where_and_when_they_ended():
    ends = [(0.5, "a"), (0.6, "a"), (1.5, "b"), (7.9, "a")]
    rates = throughput(ends, 8, ["a", "b"])
    assert rates.step_seconds == 1
    assert rates.counts == {"a": [2, 0, 0, 0, 0, 0, 0, 1, 0], "b": [0, 1, 0, 0, 0, 0, 0, 0, 0]}
    assert rates.peak_per_second == 2


def test_machines_beyond_the_shades_share_the_last():
    machines = [f"m{number}" for number in range(9)]
    rates = throughput([(1.0, machine) for machine in machines], 2, machines)
    assert list(rates.counts) == machines[:SHADES]
    assert sum(rates.counts[machines[SHADES - 1]]) == 5


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (0.03, 0.03), (0.07, 0.08), (1, 1), (9, 10), (23, 30), (61, 80), (999, 1000)],
)
def test_the_axis_ends_at_a_round_number(value, top):
    assert round_top(value) == pytest.approx(top)


@given(st.floats(1e-6, 1e6))
def test_the_axis_holds_the_peak_and_little_more(value):
    assert value <= round_top(value) <= 2 * value * (1 + 1e-9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.04231, "0.042 s"), (0.5, "0.5 s"), (1, "1 s"), (12.34, "12.3 s"),
        (59.96, "1 min 00 s"), (245, "4 min 05 s"), (7380, "2 h 03 min"),
    ],
)  # fmt: skip
def test_times_are_written_as_people_write_them(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("share", "width"), [(-1, "0.00"), (0.5, "50.00"), (7, "100.00")])
def test_a_bar_fills_its_share(share, width):
    bar = ET.fromstring(bar_svg(share, 2)).findall("rect")[1]
    assert bar.get("width") == width
    assert bar.get("class") == "shade-2"
