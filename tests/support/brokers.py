"""Which broker the tests use.

Without a word, a private node of the RabbitMQ that is installed. `IMGBATCH_TEST_BROKER` names
another: an ``amqp://`` address, which leaves out the tests that need rabbitmqctl or kill the
broker, or the folder of a system with RabbitMQ in it (``scripts/with-rabbitmq4`` makes one), from
which a private node is started, and all tests run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest
from tests.support.rabbitmq import Node, private_node, rabbitmq_is_installed
from tests.support.rights import ADMINISTRATOR, CLIENT, as_user, definitions, login

VARIABLE = "IMGBATCH_TEST_BROKER"


@dataclass(frozen=True)
class Place:
    """A virtual host on a broker, in which nobody else works; its address is that of clients."""

    host: str
    port: int
    path: str
    login: str = field(default_factory=lambda: login(CLIENT))

    @property
    def url(self) -> str:
        return self.through()

    @property
    def administrators_url(self) -> str:
        return as_user(self.url, ADMINISTRATOR)

    def through(self, port: int | None = None, host: str | None = None, **query: int) -> str:
        """Return the address of this place at another host and port that lead to the broker."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        address = f"{host or self.host}:{port or self.port}"
        return f"amqp://{self.login}@{address}{self.path}{'?' if words else ''}{words}"


class Broker:
    """The broker of a test session, and the places on it.

    Parameters
    ----------
    node
        The private node, if it is one.
    elsewhere
        The address of the broker, if it is not.
    """

    PLACES = 40

    def __init__(self, node: Node | None, elsewhere: str = "") -> None:
        self._node = node
        self._elsewhere = elsewhere
        self._taken = 0
        if node is not None:
            self._make_places(node)

    @property
    def node(self) -> Node:
        """The node, for tests that look into it or do it harm."""
        if self._node is None:
            pytest.skip(f"{VARIABLE} is a broker that the tests may not control")
        return self._node

    @property
    def url(self) -> str:
        """The address of its default place, for tests that use names of their own there."""
        return self._elsewhere or self.node.url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return urlsplit(self.url).port or 5672

    def url_at(self, host: str, port: int, **query: int) -> str:
        """Return the address of its default place at another host and port that lead to it."""
        parts = urlsplit(self.url)
        return Place(host, port, parts.path, _login_of(parts)).through(**query)

    def control(self, *words: str) -> str:
        """Run rabbitmqctl; see `Node.control`."""
        return self.node.control(*words)

    def place(self) -> Place:
        """Return a place that no test has used before; elsewhere there is only one."""
        if self._node is None:
            parts = urlsplit(self._elsewhere)
            return Place(parts.hostname or "localhost", self.port, parts.path, _login_of(parts))
        self._taken += 1
        assert self._taken <= self.PLACES
        return Place("127.0.0.1", self._node.port, f"/test-{self._taken}")

    def _make_places(self, node: Node) -> None:
        path = node.folder / "definitions.json"
        names = [f"test-{number + 1}" for number in range(self.PLACES)]
        path.write_text(json.dumps(definitions(names)))
        node.control("import_definitions", str(node.inside(path)))


def _login_of(parts: SplitResult) -> str:
    return f"{parts.username}:{parts.password}"


@contextmanager
def shared_broker() -> Iterator[Broker]:
    """Give the broker that the tests of a session share."""
    named = os.environ.get(VARIABLE, "")
    if named.startswith("amqp"):
        yield Broker(None, named)
        return
    with own_node() as node:
        yield Broker(node)


@contextmanager
def own_node(
    listen: tuple[str, ...] = ("127.0.0.1",),
    more_settings: str = "",
    prepare: Callable[[Node], None] = lambda _node: None,
) -> Iterator[Node]:
    """Give a node that a test may kill, or set up in its own way."""
    named = os.environ.get(VARIABLE, "")
    if named.startswith("amqp"):
        pytest.skip(f"{VARIABLE} is a broker that the tests may not control")
    root = Path(named or "/").resolve()
    if not rabbitmq_is_installed(root):
        reason = f"no RabbitMQ is installed in {root}; on Debian: apt install rabbitmq-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with private_node(listen, root, more_settings, prepare) as node:
        yield node
