"""Plots are well-formed SVG that writes its figures in words as well, the same in every run."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.plots import bars, curve, figure

TIMES = "\N{MULTIPLICATION SIGN}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.text]


def test_bars_write_every_name_and_value() -> None:
    written = texts(bars("Speed <of> things", {"a & b": 2.0, "c": 1000.0}, "/s", ["c"]))
    assert {"Speed <of> things", "a & b", "2.00 /s", "c", "1,000 /s"} <= set(written)


def test_a_curve_writes_its_speed_ups() -> None:
    measured, model = {1: [8.0], 2: [4.0, 4.0], 4: [2.0]}, {1: 8.0, 2: 4.2, 4: 2.5}
    written = texts(curve("Curve", measured, model))
    assert {f"1.00{TIMES}", f"2.00{TIMES}", f"4.00{TIMES}", "model"} <= set(written)


def test_the_same_figures_make_the_same_file() -> None:
    assert bars("Title", {"a": 2.0}, "/s", []) == bars("Title", {"a": 2.0}, "/s", [])


def test_a_figure_has_three_digits_that_count() -> None:
    assert [figure(value) for value in (0.01234, 1.234, 12.34, 1234.5)] == [
        "0.0123",
        "1.23",
        "12.3",
        "1,234",
    ]
