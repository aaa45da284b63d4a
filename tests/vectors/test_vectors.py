"""The vectors that other implementations are tested with are the truth about this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict
from tests.support.frames import EVERY, KINDS, read, written
from tests.vectors.make_vectors import FOLDER, texts

from imgbatch.errors import ProtocolError
from imgbatch.protocol.codec import decode


def vectors(name: str) -> list[Any]:
    return list(json.loads((FOLDER / name).read_text(encoding="utf-8")))


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_the_files_are_what_the_script_writes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == texts()[path]


@pytest.mark.parametrize("vector", vectors("frames.json"), ids=named)
def test_a_frame_means_what_its_vector_says(vector: dict[str, Any]) -> None:
    received = read(bytes.fromhex(vector["bytes"]))
    fields = json.loads(json.dumps(asdict(received.frame), default=bytes.hex))
    assert type(received.frame) is KINDS[vector["kind"]]
    assert fields == vector["fields"]
    assert received.payload.hex() == vector["payload"]


@pytest.mark.parametrize("vector", vectors("frames.json"), ids=named)
def test_what_a_vector_means_is_written_as_its_bytes(vector: dict[str, Any]) -> None:
    fields = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vector["fields"].items()
    }
    if "secret" in fields:
        fields["secret"] = bytes.fromhex(fields["secret"])
    body = written(KINDS[vector["kind"]](**fields), bytes.fromhex(vector["payload"]))
    assert (body.hex() == vector["bytes"]) == vector["written_like_this"]


@pytest.mark.parametrize("vector", vectors("refused.json"), ids=named)
def test_a_message_is_refused_for_the_reason_of_its_vector(vector: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(bytes.fromhex(vector["bytes"]), EVERY)
    assert caught.value.code == vector["error"]


@pytest.mark.parametrize("vector", vectors("bundles.json"), ids=named)
def test_a_message_of_several_tickets_means_what_its_vector_says(vector: dict[str, Any]) -> None:
    body = bytes.fromhex(vector["bytes"])
    if "error" in vector:
        with pytest.raises(ProtocolError) as caught:
            decode(body, EVERY)
        assert caught.value.code == vector["error"]
    else:
        jobs = [received.frame.job for received in decode(body, EVERY)]  # type: ignore[union-attr]
        assert jobs == vector["jobs"]


def test_there_is_a_vector_of_every_kind_and_of_every_refusal() -> None:
    assert {vector["kind"] for vector in vectors("frames.json")} == set(KINDS)
    assert len({vector["error"] for vector in vectors("refused.json")}) == 4
