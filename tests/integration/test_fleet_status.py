"""The observer against a broker on which others speak."""

from __future__ import annotations

import secrets
import time

import pytest
from tests.support.amqp import declare_exchanges, delete_exchanges, plain_channel
from tests.support.brokers import Broker
from tests.support.frames import announcement, news, read, written

from imgbatch.broker.topology import DISCOVER, STATUS, Topology
from imgbatch.fleet_status import Observer
from imgbatch.protocol.frames import Discover

pytestmark = pytest.mark.broker


def test_machines_and_batches_answer_a_call_and_garbage_is_passed_over(broker: Broker) -> None:
    topology = Topology(f"test-{secrets.token_hex(4)}.")
    observer = Observer(broker.url, topology.prefix)
    with plain_channel(broker.url) as channel:
        declare_exchanges(channel, topology)
        heard = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(heard, topology.to_servers, DISCOVER)
        observer.start(30.0)
        try:
            observer.discover()
            deadline = time.monotonic() + 30
            while (body := channel.basic_get(heard, auto_ack=True)[2]) is None:
                assert time.monotonic() < deadline
            discover = read(body).frame
            assert isinstance(discover, Discover)
            assert topology.is_ours(discover.queue)
            later = b"ib\x03" + written(announcement())[3:]
            for body in (b"garbage", later, written(announcement())):
                channel.basic_publish(topology.to_clients, STATUS, body)
            channel.basic_publish(topology.batches, STATUS, written(news()))
            while not observer.heard.fields(time.monotonic())["batches"]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            observer.stop()
        (machine,) = observer.heard.fields(time.monotonic())["machines"]
        assert machine["machine"] == announcement().machine
        assert "version 2" in observer.heard.foreign
        delete_exchanges(channel, topology)
