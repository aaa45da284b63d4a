from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.brokers import Broker, shared_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A RabbitMQ node, and places on it; see `tests.support.brokers`."""
    with shared_broker() as shared:
        yield shared
