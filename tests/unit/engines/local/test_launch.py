from __future__ import annotations

import os
import socket
import subprocess

import pytest

from imgbatch.engines.local import launch as module
from imgbatch.engines.local.launch import launch, launched_ahead


@pytest.mark.parametrize("is_in_memory", [True, False])
def test_a_process_that_was_told_nothing_waits_until_it_is_ended(
    monkeypatch: pytest.MonkeyPatch, is_in_memory: bool
) -> None:
    if not is_in_memory:
        monkeypatch.delattr(os, "memfd_create")
    launched = launch()
    with pytest.raises(subprocess.TimeoutExpired):
        launched.process.wait(1.0)  # long enough for its imports to fail
    launched.stderr.seek(0)
    assert launched.stderr.read() == b""
    launched.end()
    launched.end()
    assert launched.process.returncode == -9


def test_it_leaves_when_the_other_end_is_closed() -> None:
    launched = launch()
    launched.channel.shutdown(socket.SHUT_RDWR)
    assert launched.process.wait(30) == 0
    launched.stderr.seek(0)
    assert launched.stderr.read() == b""
    launched.end()


def test_it_is_no_member_of_our_process_group() -> None:
    with launched_ahead() as ahead:
        assert ahead is not None
        assert os.getpgid(ahead.process.pid) == ahead.process.pid
    assert ahead.process.returncode == -9


def test_that_there_can_be_no_process_is_for_the_engine_to_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    with pytest.raises(BlockingIOError):
        launch()
    with launched_ahead() as ahead:
        assert ahead is None
