"""The CPU time that broker, client and server spend on a set: what the model of scaling needs."""

from __future__ import annotations

from typing import Any

import pytest

from bench.contenders import distributed, fleet, servers_for
from bench.harness.resources import cpu_seconds, family_cpu_seconds
from bench.harness.session import Session


@pytest.mark.parametrize("set_name", ["tokyo", "crops"])
def test_cpu_time_by_party(bench: Session, benchmark: Any, set_name: str) -> None:
    benchmark.group = "costs"
    node, folder = bench.node(), bench.sets.folder(set_name)
    client = distributed(node.url)["imgbatch"]
    with fleet("imgbatch", node.url, machines=1, procs=bench.cores) as (server,):
        client.run(bench.sets.folder(f"warm-up-{set_name}"), bench.output())
        before = cpu_seconds(node.pid()), family_cpu_seconds(server.pid)
        run = benchmark.pedantic(client.run, (folder, bench.output()), rounds=1)
        after = cpu_seconds(node.pid()), family_cpu_seconds(server.pid)
    bench.measure(f"costs/{set_name}/broker", after[0] - before[0], "CPU s")
    bench.measure(f"costs/{set_name}/server", after[1] - before[1], "CPU s")
    bench.measure(f"costs/{set_name}/client", run.cpu_seconds, "CPU s")
    bench.measure(f"costs/{set_name}/images", folder.images, "images")
    bench.measure(f"costs/{set_name}/bytes", sum(folder.sizes), "B")
    bench.measure(f"costs/{set_name}/largest", max(folder.sizes), "B")


@pytest.mark.parametrize("set_name", ["tokyo", "crops"])
def test_the_broker_alone(bench: Session, benchmark: Any, set_name: str) -> None:
    benchmark.group = "costs"
    node, folder = bench.node(), bench.sets.folder(set_name)
    bare = distributed(node.url)["bare pika"]
    with servers_for("bare pika", node.url, bench.cores):
        bare.run(bench.sets.folder(f"warm-up-{set_name}"), bench.output())
        before = cpu_seconds(node.pid())
        benchmark.pedantic(bare.run, (folder, bench.output()), rounds=1)
        spent = cpu_seconds(node.pid()) - before
    bench.measure(f"costs/{set_name}/broker, bare", spent, "CPU s")
