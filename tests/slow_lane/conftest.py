"""What takes minutes: `make test-slow` runs it, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.brokers import Broker, shared_broker
from tests.support.programs import Programs, programs_in

if not os.environ.get("IMGBATCH_TEST_SLOW"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A RabbitMQ node, and places on it; see `tests.support.brokers`."""
    with shared_broker() as shared:
        yield shared


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as programs:
        yield programs
