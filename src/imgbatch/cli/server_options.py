"""The options of imgbatch-server and imgbatch-status."""

from __future__ import annotations

from imgbatch.broker.address import DEFAULT_URL
from imgbatch.cli.options import Group, Option, Program
from imgbatch.cli.values import COUNT, PORT, PROCS, SECONDS, SIZE, URL, Value, integer

LONGEST_NAME = 100
"""Half of what a frame takes, since a machine's id is its name and nine characters more."""


def _name(text: str) -> str:
    if not text.isprintable() or not 1 <= len(text) <= LONGEST_NAME:
        message = f"1 to {LONGEST_NAME} printable characters"
        raise ValueError(message)
    return text


def _broker() -> Option:
    return Option(
        "--broker",
        f"where RabbitMQ is, amqp:// or amqps:// (default: {DEFAULT_URL})",
        URL,
    )


SERVER = Program(
    "imgbatch-server",
    "Lend this machine's cores to everyone whose imgbatch-client uses the same broker.",
    (
        Group(
            "who and where",
            (
                _broker(),
                Option(
                    "--name",
                    "what people call this machine (default: its host name)",
                    Value("NAME", _name),
                ),
            ),
        ),
        Group(
            "how much",
            (
                Option(
                    "--procs",
                    "worker processes; auto: one for each core that this process may use, by "
                    "affinity and by the container's CPU quota, rounded up (default: auto)",
                    PROCS,
                ),
                Option(
                    "--prefetch",
                    "images, or bundles of small ones, that a worker holds of each batch: one is "
                    "computed, the others come meanwhile; 1..100 (default: 3)",
                    integer(1, 100),
                ),
            ),
        ),
        Group(
            "limits",
            (
                Option(
                    "--max-pixels",
                    "refuse larger images, told by their headers, before a pixel is decoded "
                    "(default: 250M)",
                    COUNT,
                ),
                Option("--max-bytes", "refuse larger files (default: 256MiB)", SIZE),
                Option(
                    "--image-timeout",
                    "kill and replace a worker that takes longer for one image (default: 120)",
                    SECONDS,
                    "image_timeout_seconds",
                ),
                Option(
                    "--worker-memory",
                    "replace a worker that holds more than this between two images (default: 1GiB)",
                    SIZE,
                    "memory_bytes",
                ),
            ),
        ),
        Group(
            "watching",
            (
                Option(
                    "--metrics-port",
                    "show figures for Prometheus at http://HOST:PORT/metrics (default: no)",
                    PORT,
                ),
                Option(
                    "--check",
                    "compile and test the kernels, say how long it took, and exit",
                    everywhere=False,
                ),
                Option("--verbose", "log more, to standard error"),
            ),
        ),
    ),
    examples={
        "imgbatch-server": "all cores, for the RabbitMQ on this machine",
        "imgbatch-server --broker amqp://user:secret@host/ --procs 4": "four of them",
        "IMGBATCH_BROKER=amqps://user:secret@host/ imgbatch-server": (
            "over TLS, with the password out of the list of processes"
        ),
    },
    remarks={
        "beginning and end": (
            "It may be started before its broker, and waits for as long as it runs. Ctrl-C or "
            "SIGTERM: the images at hand are finished, the others given back, within 30 seconds; "
            "a second one: at once."
        ),
    },
    exit_statuses={
        0: "told to leave",
        2: "the command makes no sense",
        3: "the broker refuses us, or the kernels can't be compiled",
    },
)

STATUS = Program(
    "imgbatch-status",
    "Show the machines that listen on a broker, and the batches that run there.",
    (
        Group(
            "what",
            (
                _broker(),
                Option("--json", "print JSON instead of a table"),
                Option("--watch", "go on, and refresh the table every few seconds, until Ctrl-C"),
                Option(
                    "--wait",
                    "how long to listen for answers (default: 1.5)",
                    SECONDS,
                    "wait_seconds",
                ),
            ),
        ),
    ),
    examples={
        "imgbatch-status": "once, as a table",
        "imgbatch-status --broker amqp://user:secret@host/ --watch": "again and again",
        "imgbatch-status --json | jq '.machines[].images_per_second'": "for programs",
    },
    remarks={},
    exit_statuses={
        0: "at least one server or client answered",
        1: "none answered",
        2: "the command makes no sense",
        3: "the broker can't be reached, or refuses us",
    },
)
