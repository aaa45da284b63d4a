"""How a run on RabbitMQ ends when something of it can't go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from tests.support.amqp import declare_exchanges, plain_channel
from tests.support.batches import ListedJobs, Notes, jobs_of
from tests.support.brokers import Broker, own_node
from tests.support.frames import announcement, result
from tests.support.photos import encoded, fill
from tests.support.programs import Programs, programs_in, wait_until
from tests.support.rights import SERVER, as_user

from imgbatch.adjustment import Adjustment
from imgbatch.batch.write import OutputFile, OutputPolicy
from imgbatch.broker.consumer import Consumer
from imgbatch.broker.publisher import Publisher
from imgbatch.broker.topology import STATUS, Topology
from imgbatch.engines.base import Stop
from imgbatch.engines.rabbitmq import RabbitEngine, RabbitOptions
from imgbatch.errors import BrokerError, Code
from imgbatch.images.limits import Limits
from imgbatch.protocol.codec import decode, encode
from imgbatch.protocol.frames import Lease, ServerStatus, Ticket
from imgbatch.recipe import Encoding, Recipe

pytestmark = pytest.mark.broker
TOPOLOGY = Topology()
RECIPE = Recipe(Adjustment(brightness=10, contrast=20, sharpness=40))


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as programs:
        yield programs


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "out"
    folder.mkdir()
    return folder


def engine_at(url: str, target: Path) -> RabbitEngine:
    return RabbitEngine(RabbitOptions(url), Limits(), OutputPolicy(folder=target))


@pytest.mark.parametrize("half", [Publisher, Consumer])
def test_an_error_while_connecting_is_the_one_that_is_told(
    broker: Broker, target: Path, half: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(half, "start", fail)
    with pytest.raises(OSError, match="too many open files"):
        engine_at(broker.url, target).run(ListedJobs([]), RECIPE, Notes(), Stop())


def test_an_output_folder_that_hangs_does_not_hold_the_end(
    broker: Broker,
    programs: Programs,
    tmp_path: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a network share can, in the middle of a write that no signal interrupts."""
    hangs, goes_on, stop = threading.Event(), threading.Event(), Stop()

    def hang(_self: object, _data: object) -> None:
        hangs.set()
        goes_on.wait()

    monkeypatch.setattr(OutputFile, "write", hang)
    caplog.set_level(logging.WARNING)
    url = broker.place().url
    programs.server(url)
    jobs = ListedJobs(jobs_of(fill(tmp_path / "in", 3), target))
    run = threading.Thread(
        target=engine_at(url, target).run, args=(jobs, RECIPE, Notes(), stop), daemon=True
    )
    run.start()
    wait_until(hangs.is_set, "the first result is being written")
    stop.now.set()
    run.join(30)
    assert not run.is_alive()
    goes_on.set()
    assert "still being written" in caplog.text


def test_a_broker_that_takes_no_piece_of_an_image_ends_the_run_with_the_reason(
    programs: Programs, tmp_path: Path, target: Path
) -> None:
    with own_node(more_settings="max_message_size = 300000\n") as node:
        programs.server(node.url)
        sources = fill(tmp_path / "in", 1, ".png", width=900, height=700)
        assert sources[0].stat().st_size > 300_000
        jobs = ListedJobs(jobs_of(sources, target))
        with pytest.raises(BrokerError, match="max_message_size") as caught:
            engine_at(node.url, target).run(jobs, RECIPE, Notes(), Stop())
    assert caught.value.code is Code.BROKER_REFUSED


def test_a_result_that_the_broker_does_not_take_is_a_failure_that_says_why(
    programs: Programs, tmp_path: Path, target: Path
) -> None:
    with own_node(more_settings="max_message_size = 300000\n") as node:
        programs.server(node.url)
        (source,) = fill(tmp_path / "in", 1, width=1200, height=900)
        assert source.stat().st_size < 290_000
        notes = Notes()
        recipe = Recipe(RECIPE.adjustment, Encoding(quality=100))
        jobs = ListedJobs(jobs_of([source], target))
        engine_at(node.url, target).run(jobs, recipe, notes, Stop())
    failure = notes.outcomes[0].failure
    assert failure is not None
    assert failure.code is Code.BROKER_REFUSED
    assert "max_message_size" in failure.sentence


class Liar:
    """A machine that the test is: it takes a lease, and answers tickets with what it is told."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        self._inbox = TOPOLOGY.private_name("server")
        channel.queue_declare(self._inbox, exclusive=True)
        channel.queue_bind(self._inbox, TOPOLOGY.to_servers, self._inbox)

    def take_lease(self) -> None:
        status = announcement(machine="liar", queue=self._inbox, procs=1)
        wait_until(lambda: self._announce(status), "a client leases the machine")

    def _announce(self, status: ServerStatus) -> bool:
        self._channel.basic_publish(TOPOLOGY.to_clients, STATUS, encode(status))
        body = self._channel.basic_get(self._inbox, auto_ack=True)[2]
        if body is not None:
            (received,) = decode(body)
            assert isinstance(received.frame, Lease)
            self.lease = received.frame
        return body is not None

    def answer(self, data: bytes) -> int:
        """Take a ticket, answer it with a file, and return its image's number."""
        found: list[bytes] = []

        def take() -> bool:
            queue = TOPOLOGY.work_queue(self.lease.secret)
            body = self._channel.basic_get(queue, auto_ack=True)[2]
            found.extend([] if body is None else [body])
            return bool(found)

        wait_until(take, "a ticket")
        secrets = {self.lease.batch: self.lease.secret}
        ticket = decode(found[0], secrets)[0].frame
        assert isinstance(ticket, Ticket)
        answer = result(batch=ticket.batch, job=ticket.job, machine="liar", size_bytes=len(data))
        body = encode(answer, data, secrets)
        topic = TOPOLOGY.topic(self.lease.secret)
        self._channel.basic_publish(TOPOLOGY.to_clients, topic, body)
        return ticket.job


def test_what_is_no_image_is_not_written_whoever_says_that_it_is_a_result(
    broker: Broker, tmp_path: Path, target: Path
) -> None:
    sources = fill(tmp_path / "in", 3)
    good = encoded(".jpg", seed=7)
    notes, url = Notes(), broker.place().url
    jobs = ListedJobs(jobs_of(sources, target))
    run = threading.Thread(
        target=engine_at(url, target).run, args=(jobs, RECIPE, notes, Stop()), daemon=True
    )
    with plain_channel(as_user(url, SERVER)) as channel:
        declare_exchanges(channel, TOPOLOGY)
        liar = Liar(channel)
        run.start()
        liar.take_lease()
        evil, empty, right = [liar.answer(data) for data in (b"<html>evil</html>" * 99, b"", good)]
        run.join(30)
    assert not run.is_alive()
    assert [path.name for path in target.iterdir()] == [sources[right].name]
    assert (target / sources[right].name).read_bytes() == good
    for index in (evil, empty):
        failure = notes.outcomes[index].failure
        assert failure is not None
        assert (failure.code, "liar" in failure.sentence) == (Code.DAMAGED_PAYLOAD, True)
