"""The users, permissions and settings of docs/operations.md, as they stand there.

Tests run with what the page says, so that it is the page that is tested.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

PAGE = Path(__file__).parents[2] / "docs/operations.md"
CLIENT, SERVER, ADMINISTRATOR = "imgbatch-client", "imgbatch-server", "guest"


def _block(heading: str, language: str) -> str:
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE.read_text(), flags=re.M)[1]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)
    assert found is not None
    return found[1]


def commands() -> list[list[str]]:
    """Return the words behind `rabbitmqctl` of each line by which an administrator sets all up."""
    lines = _block("Rights on the broker", "sh").replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines]
    assert {first for first, *_ in words} == {"rabbitmqctl"}
    return [rest for _, *rest in words]


def certificate_settings() -> str:
    """Return the lines of rabbitmq.conf by which users are known by their certificates."""
    return _block("Certificates in place of passwords", "ini")


def passwords() -> dict[str, str]:
    """Return the password of each user."""
    return {name: password for verb, name, password in commands_of("add_user")}


def commands_of(verb: str) -> list[list[str]]:
    return [words for words in commands() if words[0] == verb]


def definitions(virtual_hosts: list[str]) -> dict[str, Any]:
    """Return what the commands would make of several virtual hosts, for `import_definitions`.

    A server has been there before: the exchanges exist.
    """
    everything = ((ADMINISTRATOR, ".*", ".*", ".*"),)
    ours = tuple((user, *three) for _, _, _, user, *three in commands_of("set_permissions"))
    return {
        "vhosts": [{"name": name} for name in virtual_hosts],
        "users": [
            {"name": name, "password": password, "tags": ""}
            for name, password in passwords().items()
        ],
        "permissions": [
            {"user": user, "vhost": name, "configure": configure, "write": write, "read": read}
            for name in virtual_hosts
            for user, configure, write, read in everything + ours
        ],
        "exchanges": [
            {
                "name": f"imgbatch.{exchange}",
                "vhost": name,
                "type": "direct",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for name in virtual_hosts
            for exchange in ("to-clients", "to-servers", "batches")
        ],
    }


def login(user: str) -> str:
    """Return user and password as they stand in an address."""
    password = passwords().get(user, user)  # RabbitMQ's own user has its name for a password
    return f"{user}:{quote(password)}"


def as_user(url: str, user: str) -> str:
    """Return a client's address with another of the users in it; another address as it is."""
    return url.replace(f"//{login(CLIENT)}@", f"//{login(user)}@")
