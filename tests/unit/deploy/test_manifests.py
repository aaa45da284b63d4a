"""What administrators are given: checked against its schemas, and against the programs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.support import containerfile, rights

from imgbatch.cli.main import parse
from imgbatch.cli.options import CLIENT, SERVER
from imgbatch.server.supervisor import DRAIN_SECONDS

yaml = pytest.importorskip("yaml", reason="the extra named deploy is not installed")
kubernetes_validate = pytest.importorskip("kubernetes_validate")
builtin_schemas = pytest.importorskip("check_jsonschema.builtin_schemas")

DEPLOY = Path(__file__).parents[3] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
UNIT = DEPLOY / "systemd" / "imgbatch-server.service"
LEAVING_SECONDS = DRAIN_SECONDS + 5
"""How long a server may take from SIGTERM to its end."""
SUPPORTED = ("1.30", "1.34")
TEXT = {"type": "string"}
WHOLE = {"type": "integer", "minimum": 0}


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


# What is used of KEDA's custom resource definitions, and of its page on the RabbitMQ scaler.
KEDA = {
    "ScaledObject": closed(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=closed(("name",), name=TEXT, kind=TEXT, apiVersion=TEXT),
        pollingInterval=WHOLE,
        cooldownPeriod=WHOLE,
        minReplicaCount=WHOLE,
        maxReplicaCount=WHOLE,
        advanced=closed(horizontalPodAutoscalerConfig=closed(behavior={"type": "object"})),
        triggers={
            "type": "array",
            "items": closed(
                ("type", "metadata"),
                type={"const": "rabbitmq"},
                metadata=closed(
                    ("mode", "value", "queueName"),
                    protocol={"enum": ["auto", "http", "amqp"]},
                    mode={"enum": ["QueueLength", "MessageRate"]},
                    operation={"enum": ["sum", "max", "avg"]},
                    useRegex={"enum": ["true", "false"]},
                    queueName=TEXT,
                    value={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
                ),
                authenticationRef=closed(("name",), name=TEXT, kind=TEXT),
            ),
        },
    ),
    "TriggerAuthentication": closed(
        secretTargetRef={
            "type": "array",
            "items": closed(("parameter", "name", "key"), parameter=TEXT, name=TEXT, key=TEXT),
        }
    ),
}


def manifests() -> Iterator[dict[str, Any]]:
    """Yield all objects that Kubernetes is given."""
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(
        path.name for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml"
    )
    for name in listed:
        yield from yaml.safe_load_all((KUBERNETES / name).read_text())


def manifest(kind: str) -> dict[str, Any]:
    (found,) = (it for it in manifests() if it["kind"] == kind)
    return found


@pytest.mark.parametrize("version", SUPPORTED)
def test_kubernetes_objects_have_the_form_that_their_kinds_prescribe(version: str) -> None:
    for it in manifests():
        if it["apiVersion"] == "keda.sh/v1alpha1":
            jsonschema.validate(it["spec"], KEDA[it["kind"]])
        else:
            kubernetes_validate.validate(it, version, strict=True)


def test_everything_that_names_the_pods_names_the_same_ones() -> None:
    deployment = manifest("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    scaled = manifest("ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    reference = scaled["triggers"][0]["authenticationRef"]["name"]
    assert reference == manifest("TriggerAuthentication")["metadata"]["name"]


def test_the_scaler_looks_at_the_queues_that_batches_have() -> None:
    from imgbatch.broker.topology import Topology

    (trigger,) = manifest("ScaledObject")["spec"]["triggers"]
    pattern, topology = re.compile(trigger["metadata"]["queueName"]), Topology()
    assert pattern.search(topology.private_name("batch"))
    assert not pattern.search(topology.private_name("worker"))


def test_a_pod_may_do_nothing_but_compute() -> None:
    spec = manifest("Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]


def options_of(environment: dict[str, Any]) -> set[str]:
    return {name for name in environment if name.startswith("IMGBATCH_")}


def known_variables(program: Any) -> set[str]:
    return {str(it.envvar) for it in program.options if getattr(it, "envvar", None)}


def test_every_variable_is_an_option_of_the_program_that_gets_it() -> None:
    (container,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    assert options_of({it["name"]: "" for it in container["env"]}) <= known_variables(SERVER)
    services = compose()["services"]
    assert options_of(services["server"]["environment"]) <= known_variables(SERVER)
    assert options_of(services["client"]["environment"]) <= known_variables(CLIENT)
    assert options_of(image()[0]) <= known_variables(SERVER)


def test_nobody_is_killed_who_is_still_leaving() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > LEAVING_SECONDS
    assert seconds(compose()["services"]["server"]["stop_grace_period"]) > LEAVING_SECONDS
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.M)[0]) > LEAVING_SECONDS


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


def test_the_compose_file_is_one() -> None:
    schema = builtin_schemas.get_builtin_schema("vendor.compose-spec")
    jsonschema.Draft7Validator(schema).validate(compose())


def test_compose_gives_users_the_documented_rights() -> None:
    given = compose()["configs"]["users"]["content"].replace("$$", "$")
    permissions = json.loads(given)["permissions"]
    ours = rights.definitions(["photos"])["permissions"]
    assert permissions == [each for each in ours if each["user"] != rights.ADMINISTRATOR]


def test_compose_asks_for_nothing_that_its_settings_do_not_have() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    asked = set(re.findall(r"\$\{(\w+)", text))
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "compose.env").read_text(), re.M))
    assert asked == given


def image() -> tuple[dict[str, str], str, list[str]]:
    """Return what the last stage of the Containerfile says: environment, user, entry point."""
    *_, last = containerfile.read(DEPLOY / "Containerfile")
    environment: dict[str, str] = {}
    words = {it.word: it.rest for it in last.instructions}
    for it in last.instructions:
        if it.word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(it.rest))
    return environment, words["USER"], json.loads(words["ENTRYPOINT"])


def test_the_image_runs_the_server_as_a_user_that_is_not_root() -> None:
    _, user, entrypoint = image()
    assert all(int(number) > 0 for number in user.split(":"))
    assert entrypoint[-1] == "imgbatch-server"


def test_every_stage_begins_with_the_same_named_release_and_the_same_baseline() -> None:
    stages = containerfile.read(DEPLOY / "Containerfile")
    assert {stage.base for stage in stages} == {"docker.io/library/debian:trixie-slim"}
    assert len({it.rest for stage in stages for it in stage.instructions if it.word == "ARG"}) == 1


def test_what_is_copied_is_there_and_is_all_that_the_package_is_made_of() -> None:
    first, _ = containerfile.read(DEPLOY / "Containerfile")
    copied = {
        name for it in first.instructions if it.word == "COPY" for name in it.rest.split()[:-1]
    }
    assert all((DEPLOY.parent / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "src", "kernels", "man"} <= copied


def test_shells_can_read_what_they_are_given() -> None:
    runs = [
        it.rest
        for stage in containerfile.read(DEPLOY / "Containerfile")
        for it in stage.instructions
        if it.word == "RUN"
    ]
    for script in (*runs, (DEPLOY / "entrypoint").read_text()):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^ExecStart=(.+)$", text, re.M)]


def test_the_unit_starts_the_server_with_options_that_it_has() -> None:
    ((path, *words),) = commands(UNIT.read_text())
    assert Path(path).name == "imgbatch-server"
    assert "metrics_port" in parse(SERVER, words)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_well_confined(tmp_path: Path) -> None:
    # The server is not installed where the unit has it; any program that is there will do.
    text = UNIT.read_text().replace("/opt/imgbatch/bin/imgbatch-server", sys.executable)
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    for words in (["verify", "--man=no"], ["security", "--offline=yes", "--threshold=25"]):
        finished = subprocess.run(
            ["systemd-analyze", *words, unit], capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
