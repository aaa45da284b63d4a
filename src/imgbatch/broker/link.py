"""One connection to the broker, kept up for as long as its owner wants, in a thread of its own.

Only that thread touches pika. Others hand it functions through `Link.submit`; they run whether
the connection is up or not, and find out from `Link.channel`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgbatch.broker import receive_buffer
from imgbatch.errors import BrokerError, Code

if TYPE_CHECKING:
    from pika import SelectConnection
    from pika.channel import Channel

    from imgbatch.broker.address import Address

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
REFUSALS_BELIEVED = 3
"""A broker that goes down in the middle of a handshake looks like one that refuses the password,
so a refusal that it did not spell out is believed when it comes three times in a row."""

ACCESS_REFUSED = 403
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530


@dataclass(frozen=True, slots=True)
class Cut:
    """How a channel ended.

    Parameters
    ----------
    reason
        The reply text, if the broker gave one: it may name the queue at fault.
    channel_error
        The code with which the broker closed this channel, and it alone, for something that was
        sent on it; 0 if the connection went.
    """

    reason: str
    channel_error: int = 0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a link tells its owner, always on the link's own thread.

    Parameters
    ----------
    up
        A new channel is open; everything that was known of an earlier one is void.
    down
        The channel is gone.
    """

    up: Callable[[Channel], None]
    down: Callable[[Cut], None] = lambda _cut: None


class Link:
    """A connection with one channel.

    Parameters
    ----------
    address
        The broker's.
    name
        Shown by the broker's tools, and in the log.
    hooks
        Whom to tell.

    Raises
    ------
    UsageError
        If the address has an option that has no meaning.
    """

    def __init__(self, address: Address, name: str, hooks: Hooks) -> None:
        self._address = address
        self._parameters = address.parameters(name)
        self._name = name
        self._hooks = hooks
        self._loop: Any = None
        self._connection: SelectConnection | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._up_since_seconds = float("inf")
        self._unexplained_refusals = 0
        self._closing = False
        self._submitted: deque[Callable[[], None]] = deque()
        self._woken = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"link-{name}", daemon=True)
        self.channel: Channel | None = None
        # Set when waiting can't help: the broker has not let us in, or does not allow what we do.
        self.refusal: BrokerError | None = None
        self.trouble: str | None = f"connecting to the broker at {address}"
        self.was_up = False

    def start(self) -> None:
        """Begin to connect."""
        from pika.adapters.select_connection import IOLoop

        receive_buffer.widen()
        self._loop = IOLoop()
        self._loop.add_callback_threadsafe(self._connect)
        self._thread.start()

    def submit(self, function: Callable[[], None]) -> None:
        """Have a function run on the link's thread; what it raises ends the connection."""
        if self._ended.is_set():
            return
        self._submitted.append(function)
        if not self._woken:  # waking the loop costs more than most functions
            self._woken = True
            self._loop.add_callback_threadsafe(self._run_submitted)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """End the connection and its thread; a blocked broker may hold neither for longer."""
        if self._ended.is_set() or not self._thread.ident:
            return
        self.submit(self._begin_closing)
        self._ended.wait(timeout_seconds)

    def _run_submitted(self) -> None:
        self._woken = False  # first: what is submitted from now on wakes the loop again
        for _ in range(len(self._submitted)):
            self.guarded(self._submitted.popleft())

    def guarded(self, function: Callable[[], None]) -> None:
        """Run an owner's function: a bug in it costs a reconnection and a line in the log."""
        try:
            function()
        except Exception:
            log.exception("%s: starting over after an unexpected error", self._name)
            self.reset("an unexpected error")

    def reset(self, why: str) -> None:
        """Make the connection anew; to be called on the link's thread."""
        connection = self._connection
        if connection is None or not connection.is_open:
            return
        log.info("%s: reconnecting: %s", self._name, why)
        connection.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._loop.start()
                self._ended.set()
            except Exception:
                # Nothing of ours raises through the loop (see guarded), so this is pika's own. The
                # loop is taken up again, not made anew: it holds what was submitted meanwhile.
                log.exception("%s: starting over after an error in pika", self._name)
                self._loop.add_callback_threadsafe(self._start_over)
                self._ended.wait(FIRST_PAUSE_SECONDS)
        self._loop.close()

    def _start_over(self) -> None:
        self._lost(Cut("an error in pika"))
        if self._connection is None:
            self._connect_later()
        else:
            self.reset("an error in pika")

    def _connect(self) -> None:
        import pika

        if self._closing:
            self._loop.stop()
            return
        if self._connection is not None:
            return
        self._connection = pika.SelectConnection(
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
            return
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_close)
        self.channel = channel
        self.trouble = None
        self.was_up = True
        self._up_since_seconds = time.monotonic()
        self._unexplained_refusals = 0
        log.debug("%s: connected to %s", self._name, self._address)
        self.guarded(lambda: self._hooks.up(channel))

    def _on_channel_close(self, channel: Channel, reason: BaseException) -> None:
        # A channel that the broker closes takes its consumers and confirms with it; a new
        # connection is the one way back that is the same for every cause.
        code = getattr(reason, "reply_code", 0) if channel.connection.is_open else 0
        text = str(getattr(reason, "reply_text", reason))
        if code == ACCESS_REFUSED:
            self.refusal = BrokerError(
                Code.BROKER_REFUSED,
                f"the broker at {self._address} does not allow it: {text}; give the user the "
                "permissions that docs/operations.md lists",
            )
        self._lost(Cut(text, code))
        if channel.connection.is_open:
            channel.connection.close()

    def _on_close(self, _connection: SelectConnection, reason: BaseException) -> None:
        self._lost(Cut(_describe(reason)))
        self._connect_later()

    def _on_open_error(self, _connection: SelectConnection, error: BaseException) -> None:
        cause = _root_cause(error)
        if self._is_refusal(cause) and not self.was_up:
            self.refusal = BrokerError(
                Code.BROKER_REFUSED,
                f"the broker at {self._address} refuses the connection: {_refusal(cause)}",
            )
        self.trouble = (
            f"no broker is answering at {self._address} ({_describe(cause)}); start RabbitMQ "
            "there, or correct --broker"
        )
        self._connect_later()

    def _is_refusal(self, cause: BaseException) -> bool:
        from pika import exceptions

        if isinstance(cause, exceptions.ConnectionClosedByBroker):
            return cause.reply_code in (ACCESS_REFUSED, NOT_ALLOWED)
        if isinstance(cause, exceptions.AuthenticationError):
            return True
        probable = (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError)
        self._unexplained_refusals += isinstance(cause, probable)
        return self._unexplained_refusals >= REFUSALS_BELIEVED

    def _lost(self, cut: Cut) -> None:
        if self.channel is None:
            return
        self.channel = None
        self.trouble = f"the connection to the broker at {self._address} was lost ({cut.reason})"
        if not self._closing:
            log.warning("%s: %s", self._name, self.trouble)
        self.guarded(lambda: self._hooks.down(cut))

    def _connect_later(self) -> None:
        self._connection = None
        if self._closing:
            self._loop.stop()
            return
        # One that broke at once will break at once again, so only one that held counts as mended.
        if time.monotonic() - self._up_since_seconds > LONGEST_PAUSE_SECONDS:
            self._pause_seconds = FIRST_PAUSE_SECONDS
        self._up_since_seconds = float("inf")
        # Jitter keeps a fleet from coming back to a restarted broker in one instant.
        self._loop.call_later(self._pause_seconds * random.uniform(0.5, 1.0), self._connect)
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _on_blocked(self, _connection: SelectConnection, method: Any) -> None:
        self.trouble = f"the broker blocks publishing: {method.method.reason}"
        log.warning("%s: %s", self._name, self.trouble)

    def _on_unblocked(self, _connection: SelectConnection, _method: Any) -> None:
        self.trouble = None
        log.info("%s: the broker takes messages again", self._name)

    def _begin_closing(self) -> None:
        self._closing = True
        connection = self._connection
        if connection is None or connection.is_closed:
            self._loop.stop()
        elif connection.is_open:
            connection.close()
        # One that is just being made, or is closing already, ends in one of the callbacks above: a
        # loop that stopped before would leave its socket open.


def _root_cause(error: BaseException) -> BaseException:
    """Return what a failed attempt to connect failed of, out of pika's wrappers."""
    inner = getattr(error, "exception", None) or next(
        iter(getattr(error, "exceptions", ())[-1:]), None
    )
    if inner is None and error.args and isinstance(error.args[0], BaseException):
        inner = error.args[0]
    return error if inner is None else _root_cause(inner)


def _refusal(cause: BaseException) -> str:
    if getattr(cause, "reply_code", ACCESS_REFUSED) == NOT_ALLOWED:
        return f"{_describe(cause)}; check the virtual host, and that the user may use it"
    return "check user and password"


def _describe(error: BaseException) -> str:
    text = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
