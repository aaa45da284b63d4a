"""Where the broker is: a URL, checked early, and never shown with its password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit, urlunsplit

from imgbatch.errors import Code, UsageError

if TYPE_CHECKING:
    from pika import URLParameters

DEFAULT_URL = "amqp://guest:guest@localhost:5672/"
HEARTBEAT_SECONDS = 10
"""pika finds a silent peer after 2 x (heartbeat + 5) seconds, so within 30. A URL that ends in
``?heartbeat=N`` asks for another."""
CONNECT_SECONDS = 10.0
BLOCKED_SECONDS = 60
"""How long a connection may stay blocked by an alarm before it is made anew."""


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address.

    Parameters
    ----------
    url
        ``amqp://user:password@host:port/vhost``, or ``amqps://`` for TLS.

    Raises
    ------
    UsageError
        If it is no such URL.
    """

    url: str

    def __post_init__(self) -> None:
        parts = _split(self.url)
        if parts is None or parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise UsageError(
                Code.BAD_OPTION,
                f"the broker {redact(self.url)!r} is no address; write it like {DEFAULT_URL}, with "
                "%40 for an @ in the password, %2F for a / and %23 for a #",
            )

    def __str__(self) -> str:
        return redact(self.url)

    def __repr__(self) -> str:
        return f"Address({redact(self.url)!r})"

    def parameters(self, connection_name: str) -> URLParameters:
        """Return what pika connects with; `connection_name` is shown by the broker's tools.

        Raises
        ------
        UsageError
            If the URL's query is none that pika understands.
        """
        import pika

        try:
            parameters = pika.URLParameters(_with_virtual_host(self.url))
        except Exception as error:
            # Not only ValueError: pika evaluates ssl_options. What it says may quote a secret.
            raise UsageError(
                Code.BAD_OPTION,
                f"the broker {self} is followed by options that make no sense "
                f"({type(error).__name__}); see pika's URLParameters",
            ) from error
        if parameters.heartbeat is None:
            parameters.heartbeat = HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = BLOCKED_SECONDS
        parameters.socket_timeout = CONNECT_SECONDS
        parameters.stack_timeout = CONNECT_SECONDS
        parameters.connection_attempts = 1
        parameters.client_properties = {"connection_name": connection_name}
        return parameters


def redact(url: str) -> str:
    """Return a URL as it may be shown: the password, and all of what is no URL, left out."""
    parts = _split(url)
    if parts is None:
        return "***"
    if not parts.hostname:
        return "***" if "@" in url else url
    user = f"{parts.username}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, "", ""))


def hide_password(words: str) -> str:
    """Return a part of a command line with PASSWORD in place of a broker's password."""
    return re.sub(r"(amqps?://[^:@/\s]*):\S*@", r"\1:PASSWORD@", words)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    # An @ behind the host means that what was taken for the host was the start of a password.
    return None if "@" in parts.path + parts.query + parts.fragment else parts


def _with_virtual_host(url: str) -> str:
    # "amqp://host" and "amqp://host/" both mean the default virtual host, whose name is "/".
    parts = urlsplit(url)
    return url if parts.path not in ("", "/") else urlunsplit(parts._replace(path="/%2F"))
