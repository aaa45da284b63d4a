"""The broker's address: checked early, and never shown with its password."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgbatch.broker.address import (
    BLOCKED_SECONDS,
    DEFAULT_URL,
    HEARTBEAT_SECONDS,
    Address,
    exposes_password,
    hide_password,
    redact,
    with_tls_files,
)
from imgbatch.errors import Code, UsageError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (DEFAULT_URL, "amqp://guest@localhost:5672/"),
        ("amqp://broker.example", "amqp://broker.example"),
        ("amqps://user:secret@broker.example/", "amqps://user@broker.example/"),
        ("amqps://user:secret@[::1]:5671/photos", "amqps://user@[::1]:5671/photos"),
        ("amqp://:secret@broker/", "amqp://broker/"),
        ("amqp://u:s@broker/?heartbeat=5", "amqp://u@broker/"),
        ("localhost:5672", "localhost:5672"),
        ("user:secret@broker", "***"),
        ("amqp://user:12/34@broker/", "***"),
        ("amqp://user:12#34@broker/", "***"),
        ("amqp://user:12?34@broker/", "***"),
        ("amqp://user:p[ss@broker/", "***"),
        ("amqp://user:secret", "***"),
        ("", ""),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("write", [str, lambda text: quote(text, "", errors="replace")])
@given(middle=st.text())
def test_no_part_of_a_password_is_ever_shown(write: Callable[[str], str], middle: str) -> None:
    url = f"amqp://user:{write(f's3cret{middle}s3cret')}@broker/"
    shown = redact(url)
    with suppress(UsageError):
        shown += f"{Address(url)} {Address(url)!r}"
    assert "s3cret" not in shown


@pytest.mark.parametrize("password", ["s3cret/", "s3cret#x", "s3cret[", "\ns3cret"])
def test_a_refusal_shows_no_password(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address(f"amq://user:{password}@broker/")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.example",
        "localhost:5672",
        "http://broker.example/",
        "amqp://",
        "amqp:///photos",
        "amqp://broker:port/",
        "amqp://broker:70000/",
        "amqp://user:12/34@broker/",
        "amqp://[::1/",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(UsageError, match="write it like amqp://") as caught:
        Address(url)
    assert caught.value.code is Code.BAD_OPTION


@pytest.mark.parametrize(
    ("url", "host", "port", "virtual_host"),
    [
        ("amqp://broker", "broker", 5672, "/"),
        ("amqp://broker/", "broker", 5672, "/"),
        ("amqp://broker:5673/%2F", "broker", 5673, "/"),
        ("amqp://broker/photos", "broker", 5672, "photos"),
        ("amqps://broker/", "broker", 5671, "/"),
    ],
)
def test_what_pika_is_told(url: str, host: str, port: int, virtual_host: str) -> None:
    parameters = Address(url).parameters("imgbatch-test")
    assert (parameters.host, parameters.port, parameters.virtual_host) == (host, port, virtual_host)
    assert (parameters.ssl_options is not None) == url.startswith("amqps")
    assert parameters.client_properties["connection_name"] == "imgbatch-test"


def test_a_silent_or_blocked_broker_is_given_up_in_bounded_time() -> None:
    parameters = Address(DEFAULT_URL).parameters("imgbatch-test")
    assert parameters.heartbeat == HEARTBEAT_SECONDS
    assert 2 * (HEARTBEAT_SECONDS + 5) <= 30
    assert parameters.blocked_connection_timeout == BLOCKED_SECONDS
    assert parameters.connection_attempts == 1
    assert parameters.socket_timeout is not None
    assert parameters.stack_timeout is not None


def test_special_characters_of_user_and_password_are_quoted() -> None:
    credentials = Address("amqp://a%40b:p%2Fw%23@broker/").parameters("x").credentials
    assert (credentials.username, credentials.password) == ("a@b", "p/w#")


@pytest.mark.parametrize("query", ["heartbeat=often", "nonsense=1", "ssl_options=(secret,"])
def test_options_that_make_no_sense_are_refused_without_repeating_them(query: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address(f"amqp://user:secret@broker/?{query}").parameters("x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", ["{}", "{'protocol':2}", "{'cafile':'/etc/x'}"])
def test_the_check_of_certificates_can_not_be_turned_off(options: str) -> None:
    with pytest.raises(UsageError, match="make no sense"):
        Address(f"amqps://broker/?ssl_options={options}").parameters("x")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("amqps://u:s3cret@broker/?cacertfile=/nonexistent", "/nonexistent can't be used for TLS"),
        (f"amqps://u:s3cret@broker/?certfile={__file__}", "must be PEM files"),
        ("amqp://u:s3cret@broker/?cacertfile=/etc/passwd", "need amqps://"),
    ],
)
def test_files_that_are_of_no_use_for_tls_are_named(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Address(url).parameters("x")
    assert "s3cret" not in caught.value.sentence


def test_files_for_tls_are_part_of_the_url_and_leave_the_rest_of_it(tmp_path: Path) -> None:
    url = with_tls_files("amqps://broker/?heartbeat=3", None, Path("a&b.pem"), tmp_path / "key")
    assert url.startswith("amqps://broker/?heartbeat=3&certfile=%2F")
    assert with_tls_files("amqps://broker/", None, None, None) == "amqps://broker/"
    with pytest.raises(UsageError, match=r"a&b\.pem or .*/key can't be used for TLS"):
        Address(url).parameters("x")


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("amqp://user:secret@broker/", True),
        ("amqp://user:secret@192.0.2.1:5672/", True),
        ("amqps://user:secret@broker/", False),
        ("amqp://user:secret@localhost/", False),
        ("amqp://user:secret@127.0.0.1/", False),
        ("amqp://user:secret@[::1]/", False),
        ("amqp://user:secret@127.evil.example/", True),
        ("amqp://user@broker/", False),
        ("nonsense", False),
    ],
)
def test_a_password_for_another_machine_is_exposed_without_tls(url: str, exposed: bool) -> None:
    assert exposes_password(url) is exposed


def test_a_url_may_set_the_heartbeat() -> None:
    assert Address("amqp://broker/?heartbeat=3").parameters("x").heartbeat == 3


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("amqp://user:secret@host/", "amqp://user:PASSWORD@host/"),
        ("--broker=amqps://user:se@cret@host:5671/v", "--broker=amqps://user:PASSWORD@host:5671/v"),
        ("amqp://host/", "amqp://host/"),
        ("photos@home", "photos@home"),
    ],
)
def test_a_command_line_is_repeated_without_its_password(word: str, shown: str) -> None:
    assert hide_password(word) == shown
