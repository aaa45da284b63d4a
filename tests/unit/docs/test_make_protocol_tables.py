"""docs/protocol.md says what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from tests.support.frames import KINDS, announcement, types_of

from imgbatch.protocol import codec
from imgbatch.protocol.frames import PROTOCOL_VERSION
from imgbatch.recipe import Recipe

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "protocol.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_protocol_tables.py"))


def test_the_tables_are_those_of_the_code(script: dict[str, Any]) -> None:
    assert script["current"](PAGE) == PAGE, "run: python docs/make_protocol_tables.py"


def test_every_kind_has_its_table_and_its_row() -> None:
    for name in KINDS:
        assert f"<!-- table of {name} -->" in PAGE
        assert f"[{name}](#{name})" in PAGE


def test_every_field_has_its_type_and_meaning(script: dict[str, Any]) -> None:
    for name in KINDS:
        rows = script["table_of"](name).splitlines()[2:]
        assert len(rows) == len(types_of(KINDS[name]))
        assert all(len(row.split("|")) == 5 and len(row.split("|")[3]) > 4 for row in rows), rows
    assert all(f"| `{field}` |" in PAGE for field in Recipe().to_fields())


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    from imgbatch.broker import bundler, publisher, topology
    from imgbatch.engines.rabbitmq import engine, machines
    from imgbatch.protocol import client_session, slicing, worker_session
    from imgbatch.server import answers, supervisor

    assert f"**version {PROTOCOL_VERSION}**" in PAGE
    assert (codec.LARGEST_FIELDS_BYTES, codec.LARGEST_PAYLOAD_BYTES) == (2**16 - 1, 16 * 2**20)
    assert slicing.CHUNK_BYTES == 2**20
    assert publisher.WINDOW_BYTES == 16 * 2**20
    assert f"`x-expires` {topology.WORK_QUEUE_EXPIRY_SECONDS}000" in PAGE
    assert codec.MOST_FRAMES == 64
    assert client_session.FEWEST_MESSAGES_PER_WORKER == 5
    assert client_session.MOST_MESSAGES_PER_WORKER == 8
    assert client_session.MOST_MESSAGES == 8192
    assert (slicing.MOST_FRAMES_PER_BUNDLE, slicing.BUNDLE_BYTES) == (16, 512 * 1024)
    assert (answers.LARGEST_BUNDLED_BYTES, bundler.LONGEST_WAIT_SECONDS) == (128 * 1024, 0.25)
    assert client_session.MAX_ATTEMPTS == 3
    assert (engine.RENEW_SECONDS, engine.STATUS_SECONDS) == (5, 3)
    assert client_session.SILENT_SECONDS == 30
    assert (announcement().silence_seconds, machines.STATUSES_PER_SECOND) == (10, 20)
    assert (engine.LEASES_PER_SECOND, engine.RENEWALS) == (20, 6)
    assert client_session.RECOVERY_SECONDS == 12
    assert worker_session.HELD_BYTES == 256 * 2**20
    assert worker_session.FETCH_SECONDS == 10
    assert f"{worker_session.FETCH_TIMES} times in all" in PAGE
    assert (worker_session.IN_PROGRESS_SECONDS, supervisor.STATUS_SECONDS) == (5, 3)
    assert supervisor.LONGEST_LEASE_SECONDS == 300
