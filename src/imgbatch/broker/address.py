"""Where the broker is: a URL, checked early, and never shown with its password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from imgbatch.errors import Code, UsageError
from imgbatch.text import os_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pika import SSLOptions, URLParameters

DEFAULT_URL = "amqp://guest:guest@localhost:5672/"
HEARTBEAT_SECONDS = 10
"""pika finds a silent peer after 2 x (heartbeat + 5) seconds, so within 30. A URL that ends in
``?heartbeat=N`` asks for another."""
CONNECT_SECONDS = 10.0
_TLS_FILES = ("cacertfile", "certfile", "keyfile")
BLOCKED_SECONDS = 60
"""How long a connection may stay blocked by an alarm before it is made again."""


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address.

    Parameters
    ----------
    url
        ``amqp://user:password@host:port/vhost``, or ``amqps://`` for TLS; ``cacertfile``,
        ``certfile`` and ``keyfile`` in its query are PEM files, as RabbitMQ's own tools have them.

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

    @property
    def is_by_certificate(self) -> bool:
        """Whether the broker is to know us by our certificate: there is one, and no user."""
        parts = urlsplit(self.url)
        return not parts.username and "certfile" in dict(parse_qsl(parts.query))

    def parameters(self, connection_name: str) -> URLParameters:
        """Return what pika connects with; `connection_name` is shown by the broker's tools.

        Raises
        ------
        UsageError
            If the URL's query is none that is understood, or the files that it names can't be used.
        """
        import pika

        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        files = {name: query.pop(name) for name in _TLS_FILES if name in query}
        try:
            # pika evaluates ssl_options, with which it can be told to check no certificate.
            if "ssl_options" in query:
                raise ValueError
            # "amqp://host" and "amqp://host/" both mean the default virtual host, which is "/".
            path = parts.path if parts.path not in ("", "/") else "/%2F"
            url = urlunsplit(parts._replace(path=path, query=urlencode(query)))
            parameters = pika.URLParameters(url)
        except Exception as error:
            # What pika says may quote a secret.
            raise UsageError(
                Code.BAD_OPTION,
                f"the broker {self} is followed by options that make no sense "
                f"({type(error).__name__}); see pika's URLParameters",
            ) from error
        if files:
            parameters.ssl_options = self._tls(files, str(parts.hostname))
        if self.is_by_certificate:
            parameters.credentials = pika.credentials.ExternalCredentials()
        if parameters.heartbeat is None:
            parameters.heartbeat = HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = BLOCKED_SECONDS
        parameters.socket_timeout = CONNECT_SECONDS
        parameters.stack_timeout = CONNECT_SECONDS
        parameters.connection_attempts = 1
        parameters.client_properties = {"connection_name": connection_name}
        return parameters

    def _tls(self, files: Mapping[str, str], host: str) -> SSLOptions:
        import ssl

        import pika

        if not self.url.startswith("amqps://"):
            message = (
                f"the broker {self} is reached without TLS; --tls-ca, --tls-cert and --tls-key"
            )
            raise UsageError(Code.BAD_OPTION, f"{message} need amqps://")
        try:
            context = ssl.create_default_context(cafile=files.get("cacertfile"))
            if "certfile" in files:
                # A password would be asked for on the terminal, which a server may not have.
                context.load_cert_chain(files["certfile"], files.get("keyfile"), lambda: "")
        except OSError as error:
            raise UsageError(
                Code.BAD_OPTION,
                f"{' or '.join(files.values())} can't be used for TLS: "
                f"{os_reason(error)}; --tls-ca, --tls-cert and --tls-key "
                "must be PEM files, the key without a password",
            ) from error
        return pika.SSLOptions(context, host)


def with_tls_files(
    url: str, authorities: Path | None, certificate: Path | None, key: Path | None
) -> str:
    """Return a broker's URL with the PEM files for TLS in its query."""
    paths = dict(zip(_TLS_FILES, (authorities, certificate, key), strict=True))
    query = urlencode({name: path.absolute() for name, path in paths.items() if path is not None})
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def exposes_password(url: str) -> bool:
    """Whether a password would go to another machine without TLS."""
    parts = _split(url)
    if parts is None or parts.scheme != "amqp" or not parts.password:
        return False
    host = parts.hostname or ""
    if host == "localhost":
        return False
    from ipaddress import ip_address

    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True  # a name, maybe one like 127.example


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
