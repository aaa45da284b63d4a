"""One connection to the broker, kept up for as long as its owner wants, in a thread of its own.

Only that thread touches pika. Others hand it functions through `Connection.call_threadsafe`; they
run whether the connection is up or not, and find out from `Connection.channel`.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from pika import SelectConnection
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel

from imgbatch.broker import receive_buffer
from imgbatch.broker.address import Address
from imgbatch.broker.refusals import (
    ACCESS_REFUSED,
    is_refusal,
    may_be_refusal,
    refused,
    untrusted,
)
from imgbatch.errors import BrokerError, Code

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
REFUSALS_BELIEVED = 3
"""A broker that goes down in the middle of a handshake looks like one that refuses the password,
so a refusal that it did not spell out is believed when it comes three times in a row."""

PRECONDITION_FAILED = 406


def _open_at_once(_connection: Any, ready: Callable[[], object]) -> None:
    ready()


class Connection:
    """A connection with one channel.

    Parameters
    ----------
    address
        The broker's.
    name
        Shown by the broker's tools, and in the log.
    on_up
        Called on the connection's thread with each new channel; all that was known of an earlier
        one is void.
    on_down
        Called on the connection's thread when the channel is gone: with the reason, for people, and
        with the code if the broker closed this channel, and it alone, for something that was sent
        on it; otherwise with 0.
    prepare
        Called on the connection's thread with each of pika's connections, and with what opens the
        channel on it, to be called when it is ready.

    Attributes
    ----------
    channel
        The open channel; None while there is none. For the connection's thread only.
    problem
        Why nothing can be sent at present, for people; None if it can.
    fatal_error
        Set when waiting can't help: the broker has not let us in, or does not allow what we do.
    was_up
        Whether the broker has ever let us in.

    Raises
    ------
    UsageError
        If the address has an option that has no meaning.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        on_up: Callable[[Channel], None],
        on_down: Callable[[str, int], None] = lambda _reason, _channel_error: None,
        prepare: Callable[[Any, Callable[[], object]], None] = _open_at_once,
    ) -> None:
        self.channel: Channel | None = None
        self.problem: str | None = f"connecting to the broker at {address}"
        self.fatal_error: BrokerError | None = None
        self.was_up = False
        self._address = address
        self._parameters = address.parameters(name)
        self._name = name
        self._on_up = on_up
        self._on_down = on_down
        self._prepare = prepare
        self._loop: Any = None
        self._connection: SelectConnection | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._up_since_seconds = float("inf")
        self._unexplained_refusals = 0
        self._calls: deque[Callable[[], None]] = deque()
        self._woken = False
        self._closing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"broker-{name}", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        receive_buffer.widen()
        self._loop = IOLoop()
        self._loop.add_callback_threadsafe(self._connect)
        self._loop.add_callback_threadsafe(self._run_calls)
        self._thread.start()

    def call_threadsafe(self, function: Callable[[], None]) -> None:
        """Have a function run on the connection's thread, once it is started; from any thread.

        What the function raises ends the connection, which is made again.
        """
        if self._ended.is_set():
            return
        self._calls.append(function)
        if not self._woken and self._loop is not None:  # waking costs more than most functions
            self._woken = True
            self._loop.add_callback_threadsafe(self._run_calls)

    def call_later(self, seconds: float, function: Callable[[], None]) -> None:
        """Have a function run after a time; to be called on the connection's thread."""
        self._loop.call_later(seconds, lambda: self.run_callback(function))

    def call_every(self, seconds: float, function: Callable[[], None]) -> None:
        """Have a function run on the connection's thread, now and again and again."""

        def run() -> None:
            self._loop.call_later(seconds, run)
            self.run_callback(function)

        self.call_threadsafe(run)

    def watch(self, descriptor: int, function: Callable[[], None]) -> None:
        """Have a function run on the connection's thread whenever a descriptor is readable."""

        def add() -> None:
            self._loop.add_handler(
                descriptor, lambda _descriptor, _events: self.run_callback(function), IOLoop.READ
            )

        self.call_threadsafe(add)

    def run_callback(self, function: Callable[[], None]) -> None:
        """Run an owner's function: a bug in it costs a reconnection and a line in the log."""
        try:
            function()
        except Exception:
            log.exception("%s: starting over after an unexpected error", self._name)
            self.reset("an unexpected error")

    def reset(self, why: str) -> None:
        """Make the connection again; to be called on its thread."""
        if self._connection is not None and self._connection.is_open:
            log.info("%s: reconnecting: %s", self._name, why)
            self._connection.close()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End the connection and its thread; a blocked broker may hold neither for longer."""
        if self._ended.is_set() or not self._thread.ident:
            return
        # Behind what the calls before it will ask for: the last acknowledgements.
        self.call_threadsafe(lambda: self.call_threadsafe(self._close))
        self._ended.wait(timeout_seconds)

    def _run_calls(self) -> None:
        self._woken = False  # first: what is added from now on wakes the loop again
        for _ in range(len(self._calls)):
            self.run_callback(self._calls.popleft())

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._loop.start()
                self._ended.set()
            except Exception:
                # Nothing of ours raises through the loop (see run_callback), so this is pika's
                # own. The loop goes on and is not replaced: it holds what was added meanwhile.
                log.exception("%s: starting over after an error in pika", self._name)
                self._loop.add_callback_threadsafe(self._start_over)
                self._ended.wait(FIRST_PAUSE_SECONDS)
        self._loop.close()

    def _start_over(self) -> None:
        self._lose_channel("an error in pika")
        if self._connection is None:
            self._disconnected()
        else:
            self.reset("an error in pika")

    def _close(self) -> None:
        # A connection that is being made, or closing already, is waited for: a loop that stopped
        # before would leave its socket open.
        self._closing = True
        if self._connection is None:
            self._loop.stop()
        else:
            self.reset("the end")

    def _connect(self) -> None:
        if self._closing or self._connection is not None:
            return
        self._connection = SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_close,
            custom_ioloop=self._loop,
        )
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)

    def _on_open(self, connection: SelectConnection) -> None:
        if self._closing:
            connection.close()
        else:
            ready = partial(connection.channel, on_open_callback=self._on_channel_open)
            self.run_callback(lambda: self._prepare(connection, ready))

    def _on_channel_open(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_close)
        self.channel = channel
        self.problem = None
        self.was_up = True
        self._up_since_seconds = time.monotonic()
        self._unexplained_refusals = 0
        log.debug("%s: connected to %s", self._name, self._address)
        self.run_callback(lambda: self._on_up(channel))

    def _on_channel_close(self, channel: Channel, reason: BaseException) -> None:
        # A channel that the broker closes takes its consumers and confirms with it; a new
        # connection is the one way back that is the same for every cause.
        code = getattr(reason, "reply_code", 0) if channel.connection.is_open else 0
        text = str(getattr(reason, "reply_text", reason))
        if code == ACCESS_REFUSED:
            self.fatal_error = BrokerError(
                Code.BROKER_REFUSED,
                f"the broker at {self._address} does not allow it: {text}; give the user the "
                "permissions that docs/operations.md lists",
            )
        self._lose_channel(text, code)
        self.reset(text)

    def _on_close(self, _connection: SelectConnection, reason: BaseException) -> None:
        self._lose_channel(_describe(reason))
        self._disconnected()

    def _on_open_error(self, _connection: SelectConnection, error: BaseException) -> None:
        cause = _root_cause(error)
        self._unexplained_refusals = self._unexplained_refusals + 1 if may_be_refusal(cause) else 0
        is_believed = self._unexplained_refusals >= REFUSALS_BELIEVED
        if not self.was_up:
            if isinstance(cause, ssl.SSLCertVerificationError):
                self.fatal_error = untrusted(self._address, cause)
            elif is_refusal(cause) or is_believed:
                self.fatal_error = refused(self._address, cause)
        self.problem = (
            f"no broker is answering at {self._address} ({_describe(cause)}); start RabbitMQ "
            "there, or correct --broker"
        )
        self._disconnected()

    def _lose_channel(self, reason: str, channel_error: int = 0) -> None:
        if self.channel is None:
            return
        self.channel = None
        self.problem = f"the connection to the broker at {self._address} was lost ({reason})"
        if not self._closing:
            log.warning("%s: %s", self._name, self.problem)
        self.run_callback(lambda: self._on_down(reason, channel_error))

    def _disconnected(self) -> None:
        self._connection = None
        if self._closing:
            self._loop.stop()
            return
        # One that broke at once will break at once again, so only one that held counts as mended.
        if time.monotonic() - self._up_since_seconds > LONGEST_PAUSE_SECONDS:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self._up_since_seconds = float("inf")
        # Jitter keeps a fleet from coming back to a restarted broker in one instant.
        pause_seconds = self._pause_seconds * random.uniform(0.5, 1.0)
        self._loop.call_later(pause_seconds, self._connect)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _on_blocked(self, _connection: SelectConnection, method: Any) -> None:
        self.problem = f"the broker blocks publishing: {method.method.reason}"
        log.warning("%s: %s", self._name, self.problem)

    def _on_unblocked(self, _connection: SelectConnection, _method: Any) -> None:
        self.problem = None
        log.info("%s: the broker takes messages again", self._name)


def _root_cause(error: BaseException) -> BaseException:
    """Return what a failed attempt to connect failed of, out of pika's wrappers."""
    inner = [*error.args, *getattr(error, "exceptions", ()), getattr(error, "exception", None)]
    causes = [cause for cause in inner if isinstance(cause, BaseException)]
    return _root_cause(causes[-1]) if causes else error


def _describe(error: BaseException) -> str:
    text = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
