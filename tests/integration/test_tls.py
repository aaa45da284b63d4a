"""A broker that is reached by TLS alone, as docs/operations.md sets it up: rights, certificates."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from tests.support.brokers import own_node
from tests.support.oracle import FACTORS, check
from tests.support.photos import fill
from tests.support.programs import Programs, programs_in, wait_until
from tests.support.rabbitmq import Node, free_port
from tests.support.rights import CLIENT, SERVER, certificate_settings, commands, login

from imgbatch.broker.address import Address, with_tls_files
from imgbatch.broker.connection import Connection
from imgbatch.errors import BrokerError, Code

pytestmark = pytest.mark.broker
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def expired(*names: str, common_name: str | None = None) -> trustme.LeafCert:
    begin = YESTERDAY - timedelta(days=1)
    return AUTHORITY.issue_cert(
        *names, common_name=common_name, not_before=begin, not_after=YESTERDAY
    )


@dataclass(frozen=True)
class Files:
    """PEM files of an authority, and of a certificate if there is one."""

    folder: Path

    def write(self, certificate: trustme.LeafCert | None) -> Files:
        self.folder.mkdir(exist_ok=True)
        AUTHORITY.cert_pem.write_to_path(self.folder / "ca.pem")
        if certificate is not None:
            certificate.cert_chain_pems[0].write_to_path(self.folder / "cert.pem")
            certificate.private_key_pem.write_to_path(self.folder / "cert.key")
        return self

    def in_url(self, url: str) -> str:
        certificate, key = self.folder / "cert.pem", self.folder / "cert.key"
        has_one = certificate.exists()
        return with_tls_files(
            url, self.folder / "ca.pem", certificate if has_one else None, key if has_one else None
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            f"IMGBATCH_TLS_{option}": str(self.folder / name)
            for option, name in (("CA", "ca.pem"), ("CERT", "cert.pem"), ("KEY", "cert.key"))
            if (self.folder / name).exists()
        }


@dataclass(frozen=True)
class Secured:
    """A node that knows users by certificate or password, with the documented rights and no more.

    No server has been there yet.
    """

    node: Node
    port: int

    def url(self, user: str = "") -> str:
        who = f"{login(user)}@" if user else ""
        return f"amqps://{who}localhost:{self.port}/photos"


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    port = free_port()

    def prepare(node: Node) -> None:
        Files(node.folder / "tls").write(AUTHORITY.issue_cert("localhost"))
        inside = node.inside(node.folder / "tls")
        node.plugins = ("rabbitmq_auth_mechanism_ssl",)
        node.more_settings = (
            f"listeners.ssl.1 = 127.0.0.1:{port}\n"
            f"ssl_options.cacertfile = {inside}/ca.pem\n"
            f"ssl_options.certfile = {inside}/cert.pem\n"
            f"ssl_options.keyfile = {inside}/cert.key\n"
            f"{certificate_settings()}auth_mechanisms.2 = PLAIN\n"
        )

    with own_node(prepare=prepare) as node:
        for words in commands():
            node.control(*words)
        yield Secured(node, port)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as programs:
        yield programs


@pytest.mark.parametrize("by", ["certificate", "password"])
def test_client_and_server_work_with_the_documented_rights_whichever_starts_first(
    by: str, secured: Secured, programs: Programs, tmp_path: Path
) -> None:
    users = (CLIENT, SERVER)
    files = {
        user: Files(tmp_path / user).write(AUTHORITY.issue_cert("any", common_name=user))
        for user in users
    }
    urls = {user: secured.url(user if by == "password" else "") for user in users}
    fill(tmp_path / "in", 3)
    client = programs.client(
        tmp_path / "in",
        tmp_path / "out",
        *FACTORS,
        broker=urls[CLIENT],
        env=files[CLIENT].environment,
    )
    if by == "certificate":  # the first to come: clients may not make what servers make
        wait_until(lambda: "no exchange" in client.said(), "the client waits for a server")
    programs.server(urls[SERVER], env=files[SERVER].environment)
    assert client.wait() == 0, client.said()
    check(client)


def failure_at(url: str) -> BrokerError:
    """Return what a connection says of a broker at last."""
    connection = Connection(Address(url), "imgbatch-test-tls", lambda _channel: None)
    connection.start()
    wait_until(lambda: connection.fatal_error, "it gives up")
    connection.close()
    assert connection.fatal_error is not None
    return connection.fatal_error


CERTIFICATES = {
    "certificate expired": lambda: expired("any", common_name=CLIENT),
    "unknown ca": lambda: STRANGER.issue_cert("any", common_name=CLIENT),
    "certificate required": lambda: None,
    "the common name of the certificate is a user's": lambda: AUTHORITY.issue_cert(
        "any", common_name="nobody"
    ),
}


@pytest.mark.parametrize("why", CERTIFICATES)
def test_a_broker_that_refuses_our_certificate_ends_it_with_the_reason(
    why: str, secured: Secured, tmp_path: Path
) -> None:
    files = Files(tmp_path / "tls").write(CERTIFICATES[why]())
    failure = failure_at(files.in_url(secured.url()))
    assert failure.code is Code.BROKER_REFUSED
    assert why in failure.sentence
    assert failure.exit_status == 3


@contextmanager
def listening_with(certificate: trustme.LeafCert) -> Iterator[int]:
    """Listen with a certificate, as a broker does before it is spoken to; give the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(peer, server_side=True) as wrapped:
                    wrapped.recv(100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (expired("localhost"), "has expired"),
        (AUTHORITY.issue_cert("elsewhere.example"), "is for another host"),
        (STRANGER.issue_cert("localhost"), "is signed by no authority that is trusted here"),
        (
            AUTHORITY.issue_cert("localhost", not_before=datetime.now(UTC) + timedelta(days=1)),
            "can't be trusted: certificate is not yet valid",
        ),
    ],
    ids=["expired", "other host", "unknown authority", "not yet valid"],
)
def test_a_broker_that_can_not_be_trusted_is_not_spoken_to(
    certificate: trustme.LeafCert, why: str, programs: Programs, tmp_path: Path
) -> None:
    files = Files(tmp_path / "tls").write(None)
    with listening_with(certificate) as port:
        failure = failure_at(files.in_url(f"amqps://localhost:{port}/"))
        status = programs.status(f"amqps://localhost:{port}/", "--tls-ca", files.folder / "ca.pem")
    assert failure.code is Code.BROKER_UNTRUSTED
    assert f"the certificate of the broker at amqps://localhost:{port}/ {why}" in failure.sentence
    assert status.returncode == 3
    assert status.stderr == f"imgbatch-status: {failure.sentence}\n"
