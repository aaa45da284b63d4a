from __future__ import annotations

import pytest

from imgbatch.text import count, digits, duration, printable, shown, shown_name, size


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_400, "999 kB"),
        (999_600, "1.00 MB"),
        (2_500_000_000, "2.50 GB"),
        (3_000_000_000_000, "3.00 TB"),
    ],
)
def test_sizes_have_three_digits(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04231, "0.042 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.05, "0.05"), (1.234, "1.23"), (12.34, "12.3"), (456.7, "457")]
)
def test_numbers_have_three_digits(number: float, text: str) -> None:
    assert digits(number) == text


def test_one_is_not_many() -> None:
    assert count(1, "image") == "1 image"
    assert count(1234, "image") == "1,234 images"
    assert count(2, "process", "processes") == "2 processes"


def test_what_steers_a_terminal_is_shown_as_escapes() -> None:
    assert shown("a\x1b]0;evil\x07b\x9b2J\u202etxt.gpj\r") == (
        "a\\x1b]0;evil\\x07b\\x9b2J\\u202etxt.gpj\\x0d"
    )
    assert shown("caf\udce9\x7f") == "caf\\xe9\\x7f"


def test_what_people_write_is_shown_as_it_is() -> None:
    text = "caf\u00e9, 3.00\u202fPM, \U0001f469\u200d\U0001f52c\n\tthe second line"
    assert shown(text) == text


def test_a_name_has_no_second_line() -> None:
    assert shown_name("a\nb") == "a\\nb"


def test_texts_are_printable_whatever_is_in_them() -> None:
    assert printable("plain") == "plain"
    assert printable("caf\u00e9") == "caf\u00e9"
    assert printable("caf\udce9") == "caf\\xe9"
