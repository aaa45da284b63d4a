"""A private S3 server: OpenStack Swift with its S3 interface, one node, ended with the tests.

It is Debian's; its programs run with Debian's Python, whatever runs the tests.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store
from tests.support.photos import encoded
from tests.support.rabbitmq import free_port

START_SECONDS = 60.0
PYTHON = "/usr/bin/python3"
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""A part ends with the tests, also if these are killed."""
_PARTS = ("account", "container", "object")
_SWIFT = """
[swift-hash]
swift_hash_path_suffix = imgbatch
[storage-policy:0]
name = one
default = yes
"""
# A busy machine is no failure: by default, a part that is silent for half a second is left out for
# a minute, and a listing may lack what was written.
_PATIENCE = """
conn_timeout = 20
node_timeout = 60
container_update_timeout = 60
error_suppression_limit = 1000000
"""
_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
folder, ports = sys.argv[1], json.loads(sys.argv[2])
for name, port in ports.items():
    builder = RingBuilder(0, 1, 0)
    where = {"ip": "127.0.0.1", "port": port, "device": "disk"}
    again = {"replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"region": 1, "zone": 1, "weight": 1.0, "meta": "", **where, **again})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""
_FILTERS = {
    "catch_errors": "",
    "cache": "memcache_servers = 127.0.0.1:1",  # there is none, and none is needed
    "listing_formats": "",
    "s3api": "s3_acl = false\ncheck_bucket_owner = false\nmax_bucket_listing = 5",
    "tempauth": "user_test_tester = testing .admin",
    "copy": "",
    "slo": "",
    "dlo": "",
}


def swift_is_installed() -> bool:
    """Whether a node can be started here."""
    return all(Path(f"/usr/bin/swift-{part}-server").exists() for part in ("proxy", *_PARTS))


@dataclass(frozen=True)
class S3Server:
    """A server that listens, and who may use it."""

    port: int
    access_key: str = "test:tester"
    secret_key: str = "testing"

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return what tells programs of it, at this port or at another that leads there."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }


def _settings(folder: Path, part: str, port: int) -> str:
    filters = _FILTERS if part == "proxy" else {}
    lines = {
        "bind_ip": "127.0.0.1", "bind_port": port, "workers": 0, "swift_dir": folder,
        "devices": folder / "devices", "mount_check": "false", "log_level": "ERROR",
        "user": pwd.getpwuid(os.getuid()).pw_name,
    }  # fmt: skip
    text = "[DEFAULT]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    # The sections' names are those that Swift looks for.
    text += f"[pipeline:main]\npipeline = {' '.join([*filters, part])}-server\n"
    text += f"[app:{part}-server]\nuse = egg:swift#{part}\n{_PATIENCE}"
    if part == "proxy":
        text += "allow_account_management = true\naccount_autocreate = true\n"
    for name, more in filters.items():
        egg = "memcache" if name == "cache" else name
        text += f"[filter:{name}]\nuse = egg:swift#{egg}\n{more}\n"
    return text


@contextmanager
def private_s3() -> Iterator[S3Server]:
    """Run a server for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="imgbatch-s3-"))
    (folder / "devices" / "disk").mkdir(parents=True)
    ports = {part: free_port() for part in ("proxy", *_PARTS)}
    (folder / "swift.conf").write_text(_SWIFT)
    environment = {**os.environ, "SWIFT_CONF_DIR": str(folder)}
    environment.pop("PYTHONPATH", None)
    rings = {part: ports[part] for part in _PARTS}
    make = [PYTHON, "-c", _RINGS, str(folder), json.dumps(rings)]
    subprocess.run(make, env=environment, check=True, capture_output=True)
    processes = []
    try:
        for part, port in ports.items():
            settings = folder / f"{part}.conf"
            settings.write_text(_settings(folder, part, port))
            with (folder / f"{part}.log").open("wb") as log:
                command = [*_WITH_US, PYTHON, f"/usr/bin/swift-{part}-server", str(settings)]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        _wait_until_up(folder, ports["proxy"])
        yield S3Server(ports["proxy"])
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        shutil.rmtree(folder)


def _wait_until_up(folder: Path, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return  # it speaks
        except OSError:
            time.sleep(0.1)
    logs = "\n".join(path.read_text()[-1000:] for path in folder.glob("*.log"))
    raise RuntimeError(f"no Swift after {START_SECONDS:.0f} s:\n{logs}")


@contextmanager
def shared_s3() -> Iterator[S3Server]:
    """Give the server that the tests of a session share, or leave out those that need it."""
    if not swift_is_installed():
        reason = "no Swift is installed; on Debian: make system-test"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with private_s3() as server:
        yield server


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server, in which nobody else works."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def store(self) -> S3Store:
        """The library's object, made anew, so that no process inherits its connections."""
        return S3Store(
            self.name,
            endpoint=f"http://127.0.0.1:{self.server.port}",
            access_key_id=self.server.access_key,
            secret_access_key=self.server.secret_key,
            client_options={"allow_http": True},
        )

    def make(self) -> Bucket:
        with suppress(obstore.exceptions.GenericError):  # its answer is not that for an object
            obstore.put(self.store, "", b"")
        return self

    def put(self, key: str, data: bytes, **attributes: str) -> None:
        obstore.put(self.store, key, data, attributes=attributes)

    def fill(self, folder: str, count: int, suffix: str = ".jpg", **size: int) -> dict[str, bytes]:
        """Write different photographs, and return them by name."""
        photos = {
            f"IMG_{number:04}{suffix}": encoded(suffix, seed=number, **size)
            for number in range(count)
        }
        for name, data in photos.items():
            self.put(f"{folder}/{name}", data)
        return photos

    def get(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def attributes(self, key: str) -> dict[str, str]:
        return dict(obstore.get(self.store, key).attributes)

    def keys(self, folder: str = "") -> set[str]:
        """Return the names of what lies in a folder, and below it."""
        listed = obstore.list(self.store, folder).collect()
        return {meta["path"].removeprefix(f"{folder}/") for meta in listed}

    def delete(self, key: str) -> None:
        obstore.delete(self.store, key)


def new_bucket(server: S3Server) -> Bucket:
    """Make a bucket of which nobody else knows."""
    return Bucket(server, f"photos-{secrets.token_hex(4)}").make()
