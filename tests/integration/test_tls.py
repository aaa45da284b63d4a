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
    """Make an authority, and certificates for broker and client, as an administrator would."""
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority "
        "-keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile names -out server.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=client -keyout client.key -out client.csr",
        "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out client.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    for key in folder.iterdir():
        key.chmod(0o644)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_a_batch_runs_over_tls_and_strangers_on_both_sides_are_refused(
    tmp_path: Path,
) -> None:
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
            "ssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = true\n"
        )
        node.start()
        url = f"amqps://guest:guest@localhost:{port}/"
        stranger = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, "--timeout", 4, broker=url
        )
        assert stranger.wait() == 3
        assert "certificate verify failed" in stranger.said()
        trust = {"IMGBATCH_TLS_CA": str(certificates / "ca.pem")}
        nobody = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, "--timeout", 4, broker=url, env=trust
        )
        assert nobody.wait() == 3, nobody.said()
        known = trust | {
            "IMGBATCH_TLS_CERT": str(certificates / "client.pem"),
            "IMGBATCH_TLS_KEY": str(certificates / "client.key"),
        }
        programs.server(url, env=known)
        client = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, "--overwrite", broker=url, env=known
        )
        assert client.wait() == 0, client.said()
        check(client)
