from __future__ import annotations

import re
from pathlib import Path

import pytest

from imgbatch import errors
from imgbatch.errors import (
    Code,
    DamagedPayload,
    EngineError,
    FrameTooLarge,
    ImageError,
    ImgbatchError,
    MalformedFrame,
    ProtocolError,
    UsageError,
    VersionMismatch,
)


def classes() -> list[type[ImgbatchError]]:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    return [each for each in found if issubclass(each, ImgbatchError)]


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted([*drawn, "ImgbatchError"]) == sorted(each.__name__ for each in classes())


@pytest.mark.parametrize("code", Code)
def test_a_code_is_a_word_for_programs(code: Code) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert code.name.lower().replace("_", "-") == code


def test_an_error_is_its_sentence() -> None:
    error = ImageError(Code.EMPTY_FILE, "a.jpg is empty")
    assert str(error) == "a.jpg is empty"
    assert error.code is Code.EMPTY_FILE


def test_the_kind_of_an_error_decides_the_exit_status() -> None:
    assert UsageError(Code.BAD_OPTION, "").exit_status == 2
    assert ImageError(Code.EMPTY_FILE, "").exit_status == 1
    assert EngineError(Code.ENGINE_FAILED, "").exit_status == 3


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (MalformedFrame, Code.MALFORMED_FRAME),
        (FrameTooLarge, Code.FRAME_TOO_LARGE),
        (VersionMismatch, Code.VERSION_MISMATCH),
        (DamagedPayload, Code.DAMAGED_PAYLOAD),
    ],
)
def test_each_fault_of_a_peer_has_one_code(kind: type[ProtocolError], code: Code) -> None:
    assert kind("why").code is code


def test_every_code_is_used_somewhere() -> None:
    package = Path(errors.__file__).parent
    sources = [path.read_text() for path in package.rglob("*.py")]
    text = "".join(source for source in sources if "class Code(StrEnum)" not in source)
    own = Path(errors.__file__).read_text().partition("class ImgbatchError")[2]
    unused = [code.name for code in Code if f"Code.{code.name}" not in text + own]
    assert unused == []
