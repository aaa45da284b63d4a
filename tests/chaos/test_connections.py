"""Connections that break, fall silent, lose their way or damage what they carry.

Each docstring states how much time a fault may cost.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.brokers import Broker, Place
from tests.support.oracle import FACTORS, check
from tests.support.programs import Client, Program, Programs, let_pass, wait_until
from tests.support.proxy import Proxy, Way, proxy_to
from tests.support.slow_photos import large, slow

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
SOON = {"heartbeat": 2}
"""Silent peers are found in 14 s instead of 30."""


def test_connections_that_are_reset_are_made_anew(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost for each reset: a second to connect and enlist again (measured: 0.8), and what
    was on its way."""
    large(tmp_path / "in", 30, 200)
    with proxy_to(place.port) as client_side, proxy_to(place.port) as server_side:
        server = programs.server(place.through(server_side.port), fragile=True)
        client = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.through(client_side.port)
        )
        broken = 0
        for done, proxy in ((4, server_side), (8, client_side), (12, server_side)):
            client.wait_for_results(done)
            broken += proxy.reset()
        client.wait_for_results(16)
        broken += client_side.reset() + server_side.reset()
        assert client.wait() == 0, client.said()
        check(client)
        assert broken >= 12
        assert server.is_alive


@dataclass
class Pair:
    """A server and a client, each behind a proxy."""

    client: Client
    server: Program
    proxies: dict[str, Proxy]


def test_half_open_connections_are_noticed_in_each_direction(
    programs: Programs, broker: Broker, tmp_path: Path
) -> None:
    """Time lost, measured: 5 s for either side's way to the broker, 14 s for a server's way back
    and 24 for a client's, of which 14 are missed heartbeats (30 by default) and 12 those in which
    everybody may say what he still has. All four at the same time, in places of their own."""
    slow(tmp_path / "in", 30, 100)
    cases = [(side, way) for side in ("client", "server") for way in Way]
    with ExitStack() as stack:
        pairs = []
        for side, way in cases:
            place = broker.place()
            proxies = {
                name: stack.enter_context(proxy_to(place.port)) for name in ("client", "server")
            }
            server = programs.server(place.through(proxies["server"].port, **SOON), fragile=True)
            client = programs.client(
                tmp_path / "in",
                tmp_path / f"{side}-{way.name}",
                *FACTORS,
                broker=place.through(proxies["client"].port, **SOON),
            )
            pairs.append(Pair(client, server, proxies))
        for pair, (side, way) in zip(pairs, cases, strict=True):
            pair.client.wait_for_results(3)
            assert pair.proxies[side].half_open(way) >= 2
        for pair in pairs:
            assert pair.client.wait() == 0, pair.client.said()
            check(pair.client)
            assert pair.server.is_alive


def test_damaged_bytes_are_fetched_again_and_never_decoded(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: 10 s until a piece of an image is asked for again, 30 until a result is missed."""
    large(tmp_path / "in", 16)
    with proxy_to(place.port) as client_side, proxy_to(place.port) as server_side:
        server = programs.server(place.through(server_side.port), fragile=True)
        client = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.through(client_side.port)
        )
        for done, proxy, way in (
            (1, client_side, Way.UP),
            (3, client_side, Way.DOWN),
            (5, server_side, Way.UP),
            (7, server_side, Way.DOWN),
        ):
            client.wait_for_results(done)
            proxy.damage(way, 60_000)
        assert client.wait() == 0, client.said()
        check(client)
        assert client_side.damaged == server_side.damaged == 2
        assert server.is_alive


def test_a_slow_line_carries_every_image_once_however_long_it_takes(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: none. Six workers' images wait in line for longer than a worker waits before it
    asks again; that must not put them in line twice."""
    source = large(tmp_path / "in", 16)
    source_bytes = sum(path.stat().st_size for path in source.iterdir())
    with proxy_to(place.port) as line:
        for name in ("a", "b"):
            programs.server(place.url, "--prefetch", 4, name=name, procs=3, fragile=True)
        programs.wait_for_machines(place.url, 2)
        line.slow_down(Way.UP, 2_000_000)
        client = programs.client(
            tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.through(line.port)
        )
        assert client.wait() == 0, client.said()
        check(client)
        assert line.carried_bytes[Way.UP] < 1.1 * source_bytes


@dataclass
class Island:
    """A network namespace, and the link between it and this machine."""

    name: str
    device: str
    gateway: str

    @property
    def entry(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        run("ip", "link", "set", self.device, "down")

    def mend(self) -> None:
        run("ip", "link", "set", self.device, "up")


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def island() -> Iterator[Island]:
    """Make a network namespace with a cable to this machine; both go with the block."""
    suffix = secrets.token_hex(3)
    name, near, far = f"imgbatch-{suffix}", f"ib{suffix}a", f"ib{suffix}b"
    net = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
    run("ip", "netns", "add", name)
    try:
        probe = subprocess.run(
            ["ip", "netns", "exec", name, "true"], capture_output=True, check=False
        )
        if probe.returncode:
            # In a chroot, for one: what is its root is no mount point.
            pytest.skip(f"no program can be run in a network namespace here: {probe.stderr!r}")
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        run("ip", "link", "set", far, "netns", name)
        run("ip", "addr", "add", f"{net}.1/24", "dev", near)
        run("ip", "link", "set", near, "up")
        run("ip", "netns", "exec", name, "ip", "addr", "add", f"{net}.2/24", "dev", far)
        run("ip", "netns", "exec", name, "ip", "link", "set", far, "up")
        run("ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
        yield Island(name, near, f"{net}.1")
    finally:
        run("ip", "netns", "del", name)


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_machine_that_the_network_cuts_off_is_missed_and_welcomed_back(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: until the broker gives its images to others, 30 s by default, 6 here."""
    slow(tmp_path / "in", 100, 200)
    with island() as far_away, proxy_to(place.port, far_away.gateway) as bridge:
        near = programs.server(place.through(**SOON), name="near", fragile=True)
        url = place.through(bridge.port, far_away.gateway, **SOON)
        far = programs.server(url, name="far", fragile=True, prefix=far_away.entry)
        wait_until(
            lambda: all(name in programs.status(place.url).stdout for name in ("near-", "far-")),
            "both servers answer",
        )
        client = programs.client(tmp_path / "in", tmp_path / "out", *FACTORS, broker=place.url)
        client.wait_for_results(20)
        far_away.cut()
        wait_until(lambda: "far-" not in programs.status(place.url).stdout, "it is missed", 40)
        let_pass(8)
        far_away.mend()
        assert client.wait() == 0, client.said()
        images = {
            re.sub("-.*", "", item["id"]): item["images"] for item in check(client)["machines"]
        }
        assert images["far"] > 5
        assert images["near"] > images["far"]
        wait_until(lambda: "far-" in programs.status(place.url).stdout, "it is back")
        assert near.is_alive
        assert far.is_alive
