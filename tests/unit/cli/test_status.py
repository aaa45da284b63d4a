"""imgbatch-status: rendering, and what it says when nothing can be said."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.support.frames import announcement, news
from tests.support.rabbitmq import free_port

from imgbatch import fleet_status
from imgbatch.cli import status
from imgbatch.fleet_status import Heard

BROKER = "amqp://user:s3cret@broker.example/"


def heard_of(*frames: object) -> Heard:
    heard = Heard()
    for frame in frames:
        heard.hear(frame, time.monotonic())
    return heard


def test_machines_and_batches_are_a_table() -> None:
    heard = heard_of(
        announcement(),
        announcement(machine="den-1", name="den", host="den", busy=0, batches=0),
        news(),
        news(batch="ffffffffffff", scanning=False, seconds=99.6),
    )
    assert status.render(heard, BROKER) == (
        "on amqp://user@broker.example/\n"
        "\n"
        "MACHINE              HOST                PROCS  BUSY  IMAGES  IMAGES/S  BATCHES  VERSION\n"
        "darkroom-7-1a2b3c4d  darkroom-7.example  8      3     120     12.5      1        1.0.0\n"
        "den-1                den                 8      idle  120     12.5      0        1.0.0\n"
        "\n"
        "BATCH     FROM          DONE  OF    FAILED  MACHINES  SECONDS\n"
        "ffffffff  desk.example  12    773   1       2         100\n"
        "97ff1aa4  desk.example  12    773+  1       2         4"
    )


def test_without_machines_it_says_how_to_start_one() -> None:
    text = status.render(Heard(), BROKER)
    assert "no server is listening; start one with: imgbatch-server --broker URL" in text
    assert "s3cret" not in text


def test_who_could_not_be_understood_is_told() -> None:
    heard = Heard(foreign="a peer speaks version 2 of the protocol")
    assert "a peer speaks version 2" in status.render(heard, BROKER)


class Stage:
    """In the observer's place: what was heard is put in."""

    heard = Heard()

    def __init__(self, broker: str) -> None:
        assert broker == BROKER

    def start(self) -> None: ...
    def discover(self) -> None: ...
    def stop(self) -> None: ...


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> type[Stage]:
    monkeypatch.setattr(fleet_status, "Observer", Stage)
    monkeypatch.setattr(Stage, "heard", Heard())
    monkeypatch.setenv("IMGBATCH_BROKER", BROKER)
    return Stage


@pytest.mark.parametrize(
    ("frames", "exit_status"), [((), 1), ((announcement(),), 0), ((news(),), 0)]
)
def test_the_exit_status_says_whether_anybody_answered(
    stage: type[Stage], capsys: Any, frames: tuple[object, ...], exit_status: int
) -> None:
    stage.heard = heard_of(*frames)
    assert status.main(["--wait", "0.01"]) == exit_status
    assert capsys.readouterr().out.startswith("on amqp://user@broker.example/\n")


def test_json_is_the_same_for_programs(stage: type[Stage], capsys: Any) -> None:
    stage.heard = heard_of(announcement(), news())
    assert status.main(["--json", "--wait", "0.01"]) == 0
    expected = json.dumps(stage.heard.fields(time.monotonic()))
    assert json.loads(capsys.readouterr().out) == json.loads(expected)


def test_a_broker_that_does_not_answer_is_exit_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def impatient(self: Any, timeout_seconds: float = 0.3) -> None:
        start(self, timeout_seconds)

    start = fleet_status.Observer.start
    monkeypatch.setattr(fleet_status.Observer, "start", impatient)
    url = f"amqp://user:s3cret@127.0.0.1:{free_port()}/"
    assert status.main(["--broker", url]) == 3
    said = capsys.readouterr().err
    assert said.startswith("imgbatch-status: no broker is answering at amqp://user@127.0.0.1:")
    assert "s3cret" not in said


@pytest.mark.parametrize("url", ["http://broker/", "amqp://user:s3cret/x@broker/"])
def test_what_is_no_address_is_exit_status_2(url: str, capsys: Any) -> None:
    assert status.main(["--broker", url]) == 2
    assert "s3cret" not in capsys.readouterr().err


def test_ctrl_c_ends_it_without_a_fuss(stage: type[Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_self: Stage) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "discover", interrupt)
    assert status.main([]) == 0
