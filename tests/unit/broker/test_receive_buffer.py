"""The one private name of pika that is set, and that its absence does no harm."""

from __future__ import annotations

import pytest
from pika.adapters.utils import io_services_utils

from imgbatch.broker import receive_buffer


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = io_services_utils._AsyncTransportBase
    monkeypatch.setattr(transport, "_MAX_RECV_BYTES", transport._MAX_RECV_BYTES)


def test_all_transports_receive_whole_frames() -> None:
    receive_buffer.widen()
    for transport in (
        io_services_utils._AsyncPlaintextTransport,
        io_services_utils._AsyncSSLTransport,
    ):
        assert transport._MAX_RECV_BYTES == receive_buffer.RECEIVE_BYTES


def test_a_pika_without_that_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(io_services_utils._AsyncTransportBase, "_MAX_RECV_BYTES")
    receive_buffer.widen()
    assert not hasattr(io_services_utils._AsyncTransportBase, "_MAX_RECV_BYTES")


def test_a_pika_without_that_class_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(io_services_utils, "_AsyncTransportBase")
    receive_buffer.widen()
