from __future__ import annotations

import pytest

from imgbatch.cli.client_options import CLIENT, quality
from imgbatch.cli.options import Option, build_parser


def test_a_quality_is_kept_or_a_number() -> None:
    assert quality("keep") is None
    assert quality("85") == 85
    for text in ("0", "101", "best", ""):
        with pytest.raises(ValueError, match="from 1 to 100"):
            quality(text)


def test_no_option_is_described_twice() -> None:
    names = [option.name for option in CLIENT.options]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("option", CLIENT.options, ids=lambda option: option.name)
def test_each_option_says_what_it_does_and_what_it_takes(option: Option) -> None:
    assert option.help
    assert option.help[-1] != "."


def test_the_help_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = build_parser(CLIENT).format_help()
    assert "exit status:" in text
    assert "100M" in text
    assert max(map(len, text.splitlines())) <= 80
