"""The options of all four programs."""

from __future__ import annotations

from functools import partial

from imgbatch.broker.address import DEFAULT_URL
from imgbatch.cli import values
from imgbatch.cli.listing import NameList
from imgbatch.cli.options import Argument, Group, Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.values import Value, choice, integer
from imgbatch.recipe import DamagedPolicy, OutputFormat, PngLevel, Progressive
from imgbatch_kernels.coefficients import FACTOR_RANGES

Typed = partial(Option, everywhere=False)
"""An option that neither the environment nor a settings file sets."""

_PROCS = Option(
    "--procs",
    "worker processes; auto: one for each core that affinity and container leave (default: auto)",
    values.PROCS,
)
_LIMITS = (
    Option("--max-pixels", "refuse images of more pixels (default: 250M)", values.COUNT),
    Option("--max-bytes", "refuse larger files (default: 256MiB)", values.SIZE),
    Option(
        "--image-timeout",
        "replace a worker that takes longer for an image, which fails after three (default: 120)",
        values.SECONDS,
    ),
)
_CERTIFICATES = Group(
    "certificates, for amqps:// addresses",
    Option("--tls-ca", "trust the authorities in it, not the system's", values.PEM),
    Option("--tls-cert", "how the broker knows this machine", values.PEM),
    Option("--tls-key", "its key, without a password, if it is in another file", values.PEM),
    needs="broker",
)

CLIENT = Program(
    "imgbatch-client",
    "Make a folder of photographs brighter, richer in contrast, sharper, into another folder: on "
    "this machine, or on many through RabbitMQ.",
    Group(
        "what and where to",
        Argument(
            "folder of photographs, or a single one; never changed", "source", values.path("INPUT")
        ),
        Argument(
            "folder for the results, made at need; folders below INPUT are mirrored in it",
            "target",
            values.path("OUTPUT", "dir"),
        ),
    ),
    Group(
        "adjustment (0 leaves a photograph as it is)",
        Option(
            "--brightness",
            "brighter by N levels of 255, darker below 0; -100..100 (default: 0)",
            integer(*FACTOR_RANGES["brightness"]),
        ),
        Option(
            "--contrast",
            "more contrast, less below 0: the slope about mid-grey is 1 + 2N/100, below 0 it is "
            "1 + N/100; -100..100 (default: 0)",
            integer(*FACTOR_RANGES["contrast"]),
        ),
        Option(
            "--sharpness",
            "sharper: the weight of the four neighbours in percent; 0..100 (default: 0)",
            integer(*FACTOR_RANGES["sharpness"]),
        ),
        Option(
            "--preset",
            f"a named adjustment ({', '.join(PRESETS)}), or a TOML file with an [imgbatch] table "
            "of options; single options given beside it win",
            Value("NAME|FILE.toml", words=PRESETS, completes="file"),
        ),
        Typed("--explain", "print the exact arithmetic for these factors and exit"),
    ),
    Group(
        "which files",
        Option("--recursive/--no-recursive", "also those in folders below INPUT (default: yes)"),
        Option(
            "--include",
            "only files that match, like '*.jpg'; may be repeated. A pattern without a slash is "
            "held against the name, one with a slash against the path below INPUT, where ** "
            "crosses folders; capitals do not matter",
            values.GLOBS,
        ),
        Option(
            "--exclude",
            "no files that match, and nothing in folders that match; may be repeated",
            values.GLOBS,
        ),
        Option("--hidden/--no-hidden", "also names that begin with a dot (default: no)"),
        Typed(
            "--files-from",
            "take the files this list names, by paths below INPUT, separated by newlines or NUL; "
            "- reads standard input",
            Value("FILE|-", NameList, completes="file"),
            "names",
        ),
        Typed(
            "--watch",
            "when all is done, wait for new files and take each as soon as it is completely "
            "written, until Ctrl-C",
        ),
    ),
    Group(
        "results",
        Option(
            "--format",
            "keep each image's format, or write all as JPEG or PNG (default: keep)",
            choice(OutputFormat),
            "output_format",
        ),
        Option(
            "--quality",
            "quality of JPEGs: keep the source's, or 1..100 (default: keep)",
            values.or_word("keep", None, integer(1, 100)),
        ),
        Option("--progressive", "progressive JPEGs (default: keep)", choice(Progressive)),
        Option(
            "--png-level",
            "write PNGs quickly, or smaller in about four times the time (default: fast)",
            choice(PngLevel),
        ),
        Option(
            "--strip/--no-strip",
            "drop all metadata but the colour profile and the orientation (default: no)",
            field="strip_metadata",
        ),
        Option(
            "--damaged",
            "strict: a damaged image fails. salvage: what can be decoded of it is written, and "
            "noted (default: strict)",
            choice(DamagedPolicy),
        ),
        Option(
            "--preserve/--no-preserve",
            "give results the permissions and times of their sources (default: yes)",
        ),
        Typed("--overwrite", "replace files that are in OUTPUT (default: refuse to begin)"),
        Typed(
            "--resume",
            "continue the run that wrote OUTPUT: what it finished with the same settings, from "
            "files that are unchanged since, is not done again",
        ),
        Option(
            "--checksum/--no-checksum",
            "with --resume: know unchanged files by content, not by size and time (default: no)",
        ),
        Option(
            "--report",
            "where it goes, .csv and .html beside it (default: OUTPUT/imgbatch-report.json)",
            values.path("PATH"),
        ),
    ),
    Group(
        "who computes",
        _PROCS,
        *_LIMITS,
        Option(
            "--broker",
            "use the machines that run imgbatch-server at this RabbitMQ: "
            "amqp://user:password@host/, or amqps:// for TLS (default: only this machine)",
            values.URL,
        ),
    ),
    Group(
        "other machines, with --broker",
        Option("--machines", "at most N at a time (default: all)", integer(1)),
        Option("--timeout", "give up after S seconds without any (default: wait)", values.SECONDS),
        Option(
            "--mixed-fleet/--no-mixed-fleet",
            "also those whose results differ in some bits (default: no)",
        ),
        needs="broker",
    ),
    _CERTIFICATES,
    Group(
        "what is shown",
        Option(
            "--html/--no-html",
            "also make the report's page, with a gallery of before and after (default: yes)",
        ),
        Option(
            "--progress",
            "on standard error: a live display on a terminal and else a line every few seconds "
            "(auto), always lines (plain), or nothing (default: auto)",
            choice(("auto", "plain", "none")),
        ),
        Option("--json/--no-json", "print the run's figures as JSON on standard output"),
        Typed("--dry-run", "say which files would be written, and write nothing"),
    ),
    examples={
        "imgbatch-client photos/ out/ --contrast 20 --sharpness 30": (
            "every photograph below photos/, on this machine's cores; originals stay as they are"
        ),
        "imgbatch-client photos/ out/ --preset punchy --dry-run": "only say what would be done",
        "imgbatch-client photos/ out/ --include '*.png' --format jpeg --quality 85": (
            "PNGs as JPEGs"
        ),
        "imgbatch-client photos/ out/ --contrast 20 --resume": (
            "go on after Ctrl-C, a crash or a full disk; what is done is not done again"
        ),
        "imgbatch-client photos/ out/ --contrast 20 --broker amqp://user:secret@host/": (
            "on all machines that run imgbatch-server there"
        ),
    },
    remarks={
        "environment and settings file": (
            "Most options can also be given as IMGBATCH_<NAME> (IMGBATCH_BROKER, "
            "IMGBATCH_IMAGE_TIMEOUT, ...) or in the [imgbatch] table of ~/.config/imgbatch.toml "
            "(or --config FILE). The command line counts most, then --preset, the environment, "
            "the settings file."
        ),
    },
    exit_statuses={
        0: "every image was written (other files are skipped, and listed in the report)",
        1: "some images failed; all others are written, and the report says why",
        2: "the command makes no sense, or would replace files",
        3: "the run could not go on: broker, disk, or worker processes",
        130: "interrupted by Ctrl-C; --resume continues",
    },
)

LONGEST_NAME = 100
"""Half of what a frame takes, since a machine's id is its name and nine characters more."""


def _name(text: str) -> str:
    if not text.isprintable() or not 1 <= len(text) <= LONGEST_NAME:
        message = f"1 to {LONGEST_NAME} printable characters"
        raise ValueError(message)
    return text


_BROKER = Option(
    "--broker", f"where RabbitMQ is, amqp:// or amqps:// (default: {DEFAULT_URL})", values.URL
)


SERVER = Program(
    "imgbatch-server",
    "Lend this machine's cores to everyone whose imgbatch-client uses the same broker.",
    Group(
        "who and where",
        _BROKER,
        Option(
            "--name", "what people call this machine (default: its host name)", Value("NAME", _name)
        ),
    ),
    _CERTIFICATES,
    Group(
        "how much",
        _PROCS,
        Option(
            "--prefetch",
            "images, or bundles of small ones, that a worker holds of each batch: one is "
            "computed, the others come meanwhile; 1..100 (default: 3)",
            integer(1, 100),
        ),
    ),
    Group(
        "limits",
        *_LIMITS,
        Option(
            "--worker-memory",
            "replace a worker that holds more than this between two images (default: 1GiB)",
            values.SIZE,
            "memory_bytes",
        ),
    ),
    Group(
        "watching",
        Option(
            "--metrics-port",
            "show figures for Prometheus at http://ADDRESS:PORT/metrics (default: no)",
            values.PORT,
        ),
        Option(
            "--metrics-address",
            "where it listens; 0.0.0.0 is everywhere (default: 127.0.0.1, this machine only)",
            Value("ADDRESS"),
        ),
        Typed("--check", "compile and test the kernels, say how long it took, and exit"),
        Option("--verbose", "log more, to standard error"),
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
    Group(
        "what",
        _BROKER,
        Option("--json", "print JSON instead of a table"),
        Option("--watch", "go on, and refresh the table every few seconds, until Ctrl-C"),
        Option("--wait", "how long to listen for answers (default: 1.5)", values.SECONDS),
    ),
    _CERTIFICATES,
    examples={
        "imgbatch-status": "once, as a table",
        "imgbatch-status --broker amqp://user:secret@host/ --watch": "again and again",
        "imgbatch-status --json | jq '.machines[].images_per_second'": "for programs",
    },
    exit_statuses={
        0: "at least one server or client answered",
        1: "none answered",
        2: "the command makes no sense",
        3: "the broker can't be reached, or refuses us",
    },
)

PREVIEW = Program(
    "imgbatch-preview",
    "See brightness, contrast and sharpness on your own photographs, and copy the "
    "imgbatch-client command that applies them.",
    Group(
        "what",
        Argument("a photograph, or a folder of them", "source", values.path("INPUT")),
        Typed(
            "--sheet",
            "write a contact sheet of variants there, a JPEG, instead of opening a page; "
            "of a folder, it shows the first photograph",
            values.path("OUT.jpg"),
        ),
    ),
    Group(
        "the page",
        Typed("--port", "listen there, on this machine only (default: a free port)", values.PORT),
        Typed("--no-browser", "print the page's address and open no browser"),
        Option("--verbose", "print each request, to standard error"),
    ),
    examples={
        "imgbatch-preview photos/": "go through the folder, choose, copy the command",
        "imgbatch-preview photo.jpg --sheet variants.jpg": (
            "no browser: a picture of variants side by side"
        ),
    },
    remarks={
        "privacy": (
            "The page is served to this machine only, at an address that cannot be guessed; "
            "nothing leaves the machine, and no file is changed. Ctrl-C ends it."
        ),
    },
    exit_statuses={
        0: "ended by Ctrl-C, or the sheet is written",
        1: "the photograph for the sheet can't be processed",
        2: "the command makes no sense",
    },
)

PROGRAMS = (CLIENT, SERVER, STATUS, PREVIEW)
