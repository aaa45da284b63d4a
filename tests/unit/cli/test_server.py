"""imgbatch-server: from flags to a server's settings, and what it says when it can't be one."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.rabbitmq import free_port

from imgbatch.cli import server
from imgbatch.cores import usable_cores
from imgbatch.errors import BrokerError, Code, EngineError
from imgbatch.images.limits import Limits
from imgbatch.server import self_test
from imgbatch.server import supervisor as supervisor_module
from imgbatch.server.self_test import SelfTest
from imgbatch.server.supervisor import ServerSettings

SELF_TEST = SelfTest("d1657e57", {"numba": "0.62.1"}, 1.25)


class Stage:
    """In the supervisor's place: takes its settings, and runs for no time."""

    settings: ServerSettings
    metrics: Any = None
    error: Exception | None = None

    def __init__(self, settings: ServerSettings, found: SelfTest, metrics: Any) -> None:
        assert found is SELF_TEST
        Stage.settings, Stage.metrics = settings, metrics

    def run(self) -> None:
        if Stage.error is not None:
            raise Stage.error

    def stop(self) -> None: ...


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(supervisor_module, "Supervisor", Stage)
    monkeypatch.setattr(self_test, "run_self_test", lambda: SELF_TEST)
    monkeypatch.setattr(Stage, "error", None)
    monkeypatch.setattr(server.signal, "signal", lambda _number, _handler: None)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    logging.getLogger("pika").setLevel(logging.NOTSET)


def test_without_options_a_server_lends_all_cores_to_the_local_broker() -> None:
    assert server.main([]) == 0
    assert Stage.settings == ServerSettings(
        broker="amqp://guest:guest@localhost:5672/",
        procs=usable_cores(),
        name=socket.gethostname(),
        prefetch=3,
        limits=Limits(),
        image_timeout_seconds=120.0,
        memory_bytes=2**30,
    )
    assert Stage.metrics is None


def test_options_become_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGBATCH_BROKER", "amqps://user:s3cret@broker.example/photos")
    monkeypatch.setenv("IMGBATCH_PROCS", "9")
    options = "--procs 2 --name den --prefetch 4 --max-pixels 1M --max-bytes 2M --image-timeout 9"
    assert server.main([*options.split(), "--worker-memory", "1G"]) == 0
    assert Stage.settings == ServerSettings(
        broker="amqps://user:s3cret@broker.example/photos",
        procs=2,
        name="den",
        prefetch=4,
        limits=Limits(max_pixels=10**6, max_bytes=2 * 10**6),
        image_timeout_seconds=9.0,
        memory_bytes=10**9,
    )


def test_check_compiles_says_so_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    Stage.error = AssertionError("it runs")
    assert server.main(["--check"]) == 0
    assert capsys.readouterr().out == "ready after 1.2 s; digest d1657e57\n"


def test_metrics_are_shown_on_the_port_that_was_named() -> None:
    assert server.main(["--metrics-port", "0"]) == 0
    assert Stage.metrics.port > 0
    Stage.metrics.close()


def test_metrics_that_can_not_be_shown_where_they_should_be_are_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert server.main(["--metrics-port", "0", "--metrics-address", "192.0.2.1"]) == 2
    assert "--metrics-address and --metrics-port say where" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "exit_status"),
    [
        (BrokerError(Code.BROKER_REFUSED, "the broker refuses the connection"), 3),
        (EngineError(Code.ENGINE_FAILED, "the kernels could not be warmed up"), 3),
    ],
)
def test_what_ends_a_server_is_told_in_a_sentence(
    error: Exception, exit_status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Stage.error = error
    assert server.main([]) == exit_status
    assert capsys.readouterr().err == f"imgbatch-server: {error}\n"


@pytest.mark.parametrize(
    "url", ["broker.example", "amqp://user:s3cret/x@broker/", "amqp://user:s3cret@broker/?x=1"]
)
def test_what_is_no_address_is_told_before_anything_is_compiled(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(self_test, "run_self_test", lambda: pytest.fail("it compiles"))
    assert server.main(["--broker", url]) == 2
    assert "s3cret" not in capsys.readouterr().err


def test_a_server_that_never_found_its_broker_leaves_quietly() -> None:
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    command = [sys.executable, "-m", "imgbatch.cli.server", "--broker", url, "--procs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "trying again" not in said:
            said = process.stderr.readline()
        process.terminate()
        *_, said = process.stderr.readlines()
    assert process.returncode == 0
    assert "0 images done; ended" in said
