"""A broker that is reached by TLS alone, as docs/operations.md sets it up."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.brokers import own_node
from tests.support.oracle import FACTORS, check
from tests.support.photos import fill
from tests.support.programs import programs_in
from tests.support.rabbitmq import free_port

pytestmark = pytest.mark.broker


def make_certificates(folder: Path) -> None:
    """Make an authority and a certificate for this machine, as an administrator would."""
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority "
        "-keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile names -out server.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    for key in folder.iterdir():
        key.chmod(0o644)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_batch_runs_over_tls_and_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    certificates, port = tmp_path / "certificates", free_port()
    make_certificates(certificates)
    fill(tmp_path / "in", 3)
    with own_node() as node, programs_in(tmp_path / "logs") as programs:
        shutil.copytree(certificates, node.folder / "certificates")
        inside = node.inside(node.folder / "certificates")
        node.kill()
        node.more_settings = (
            f"listeners.ssl.1 = 127.0.0.1:{port}\n"
            f"ssl_options.cacertfile = {inside}/ca.pem\n"
            f"ssl_options.certfile = {inside}/server.pem\n"
            f"ssl_options.keyfile = {inside}/server.key\n"
        )
        node.start()
        url = f"amqps://guest:guest@localhost:{port}/"
        stranger = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, "--timeout", 4, broker=url
        )
        assert stranger.wait() == 3
        assert "certificate verify failed" in stranger.said()
        trust = {"SSL_CERT_FILE": str(certificates / "ca.pem")}
        programs.server(url, env=trust)
        client = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, "--overwrite", broker=url, env=trust
        )
        assert client.wait() == 0, client.said()
        check(client)
