"""What a supervisor and its workers tell each other has to pass through a pipe."""

from __future__ import annotations

import multiprocessing

import pytest

from imgbatch.images.limits import Limits
from imgbatch.server.orders import (
    ClientGone,
    Drain,
    Leave,
    QueueGone,
    Ready,
    Serve,
    WorkerSettings,
)


@pytest.mark.parametrize(
    "message",
    [
        WorkerSettings("amqp://broker/", "imgbatch.", "m", 3, Limits(max_pixels=5)),
        Serve("b", "q"),
        Leave("b"),
        Drain(),
        Ready(),
        ClientGone("b"),
        QueueGone("b"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_arrive_as_they_were_sent(message: object) -> None:
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        theirs.send(message)
        assert ours.recv() == message
