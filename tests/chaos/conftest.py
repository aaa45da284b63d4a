from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.brokers import Broker, Place, shared_broker
from tests.support.programs import Programs, programs_in


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A node of this folder's own, which its tests may kill, starve and fill with garbage."""
    with shared_broker() as shared:
        yield shared


@pytest.fixture
def place(broker: Broker) -> Place:
    return broker.place()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as programs:
        yield programs
