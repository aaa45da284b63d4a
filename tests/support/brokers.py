"""Which broker the tests use.

Without a word, a private node of the RabbitMQ that is installed. `IMGBATCH_TEST_BROKER` names
another: an ``amqp://`` address, which leaves out the tests that need rabbitmqctl or kill the
broker, or the folder of a system with RabbitMQ in it (``scripts/rabbitmq4.sh`` makes one), from
which a private node is started, and all tests run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
from tests.support.rabbitmq import Node, private_node, rabbitmq_is_installed

VARIABLE = "IMGBATCH_TEST_BROKER"


@dataclass
class Elsewhere:
    """A broker that is not ours to control."""

    url: str

    def url_at(self, host: str, port: int, **query: int) -> str:
        parts = urlsplit(self.url)
        login = f"{parts.username}:{parts.password}@" if parts.username else ""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{parts.scheme}://{login}{host}:{port}{parts.path}{'?' if words else ''}{words}"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 5672

    def control(self, *_words: str) -> NoReturn:
        pytest.skip(f"{VARIABLE} is a broker that the tests may not control")

    def queues(self, *_columns: str) -> NoReturn:
        self.control()


Broker = Node | Elsewhere


@contextmanager
def shared_broker() -> Iterator[Broker]:
    """Give the broker that most tests share."""
    named = os.environ.get(VARIABLE, "")
    if named.startswith("amqp"):
        yield Elsewhere(named)
        return
    with own_node() as node:
        yield node


@contextmanager
def own_node(listen: tuple[str, ...] = ("127.0.0.1",)) -> Iterator[Node]:
    """Give a node that a test may kill, or have listen on more addresses."""
    named = os.environ.get(VARIABLE, "")
    if named.startswith("amqp"):
        pytest.skip(f"{VARIABLE} is a broker that the tests may not control")
    root = Path(named or "/").resolve()
    if not rabbitmq_is_installed(root):
        reason = f"no RabbitMQ is installed in {root}; on Debian: apt install rabbitmq-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with private_node(listen, root) as node:
        yield node
