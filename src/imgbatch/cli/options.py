"""The options of all four programs."""

from __future__ import annotations

from functools import partial

from click import Argument, IntRange

from imgbatch.broker.address import DEFAULT_URL
from imgbatch.cli.option_types import Group, Option, Program
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.values import (
    FOLDER,
    GLOB,
    PATH,
    PLACE,
    PORT,
    IntegerOrWord,
    NameList,
    amount,
    choice,
    seconds,
    words_or_files,
)
from imgbatch.recipe import DamagedPolicy, Frames, OutputFormat, PngLevel, Progressive
from imgbatch_kernels.coefficients import FACTOR_RANGES

Typed = partial(Option, everywhere=False)
"""An option that neither the environment nor a settings file sets."""

_PROCS = Option(
    "--procs auto|N",
    "worker processes; auto: one for each core that affinity and container leave (default: auto)",
    IntegerOrWord("auto", 1, 1000),
)
_LIMITS = (
    Option("--max-pixels N", "refuse images of more pixels (default: 250M)", amount),
    Option("--max-bytes SIZE", "refuse larger files (default: 256MiB)", amount),
    Option(
        "--image-timeout S",
        "replace a worker that takes longer for an image, which fails after three (default: 120)",
        seconds,
    ),
)
_CERTIFICATES = Group(
    "certificates, for amqps:// addresses",
    Option("--tls-ca FILE.pem", "trust the authorities in it, not the system's", PATH),
    Option("--tls-cert FILE.pem", "how the broker knows this machine", PATH),
    Option("--tls-key FILE.pem", "its key, without a password, if it is in another file", PATH),
    needs="broker",
)

_LOG_FORMAT = Option(
    "--log-format",
    "what is written to standard error: lines for people, or JSON with batch and job of each "
    "event (default: text)",
    choice(("text", "json")),
)

CLIENT = Program(
    "imgbatch-client",
    Group(
        "what and where to",
        Argument(
            ["source"],
            help="folder of photographs, or a single one, or s3://bucket/folder; never changed",
            metavar="INPUT",
            type=PLACE,
            required=False,
        ),
        Argument(
            ["target"],
            help="folder for the results, made at need, or s3://bucket/folder; folders below INPUT "
            "are mirrored in it",
            metavar="OUTPUT",
            type=FOLDER,
            required=False,
        ),
    ),
    Group(
        "adjustment (0 leaves a photograph as it is)",
        Option(
            "--brightness N",
            "brighter by N levels of 255, darker below 0; -100..100 (default: 0)",
            IntRange(*FACTOR_RANGES["brightness"]),
        ),
        Option(
            "--contrast N",
            "more contrast, less below 0: the slope about mid-grey is 1 + 2N/100, below 0 it is "
            "1 + N/100; -100..100 (default: 0)",
            IntRange(*FACTOR_RANGES["contrast"]),
        ),
        Option(
            "--sharpness N",
            "sharper: the weight of the four neighbours in percent; 0..100 (default: 0)",
            IntRange(*FACTOR_RANGES["sharpness"]),
        ),
        Option(
            "--preset NAME|FILE.toml",
            f"a named adjustment ({', '.join(PRESETS)}), or a TOML file with an [imgbatch] table "
            "of options; single options given beside it win",
            shell_complete=words_or_files(*PRESETS),
        ),
        Typed("--explain", "print the exact arithmetic for these factors and exit"),
    ),
    Group(
        "which files",
        Option("--recursive/--no-recursive", "also those in folders below INPUT (default: yes)"),
        Option(
            "--include GLOB",
            "only files that match, like '*.jpg'; may be repeated. A pattern without a slash is "
            "held against the name, one with a slash against the path below INPUT, where ** "
            "crosses folders; capitals do not matter",
            GLOB,
            multiple=True,
        ),
        Option(
            "--exclude GLOB",
            "no files that match, and nothing in folders that match; may be repeated",
            GLOB,
            multiple=True,
        ),
        Option("--hidden/--no-hidden", "also names that begin with a dot (default: no)"),
        Typed(
            "--files-from FILE|-",
            "take the files this list names, by paths below INPUT, separated by newlines or NUL; "
            "- reads standard input",
            NameList,
            "names",
            shell_complete=words_or_files(),
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
            "--quality keep|N",
            "quality of JPEGs: keep the source's, or 1..100 (default: keep)",
            IntegerOrWord("keep", 1, 100),
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
            "--frames",
            "all pictures of animations and all pages, or the first alone (default: all)",
            choice(Frames),
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
            "--report PATH",
            "where it goes, .csv and .html beside it (default: OUTPUT/imgbatch-report.json; for "
            "s3:// OUTPUT a folder imgbatch-report-BUCKET-FOLDER here, and in OUTPUT)",
            PATH,
        ),
    ),
    Group(
        "who computes",
        _PROCS,
        *_LIMITS,
        Option(
            "--broker URL",
            "use the machines that run imgbatch-server at this RabbitMQ: "
            "amqp://user:password@host/, or amqps:// for TLS (default: only this machine)",
        ),
    ),
    Group(
        "other machines, with --broker",
        Option("--machines N", "at most N at a time (default: all)", IntRange(1)),
        Option("--timeout S", "give up after S seconds without any (default: wait)", seconds),
        Option(
            "--direct/--no-direct",
            "have them read INPUT and write OUTPUT themselves, which all must have mounted at the "
            "same path and allow (default: only what is in a store)",
        ),
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
        _LOG_FORMAT,
        Option(
            "--metrics-file FILE.prom",
            "at the end, write the run's figures there for Prometheus' node_exporter",
            PATH,
        ),
        Option("--json/--no-json", "print the run's figures as JSON on standard output"),
        Typed(
            "--warm-up",
            "compile the kernels for this processor, keep them, and exit; else the first run does",
        ),
        Typed("--dry-run", "say which files would be written, and write nothing"),
    ),
)

LONGEST_NAME = 100
"""Half of what a frame takes, since a machine's id is its name and nine characters more."""


def _name(text: str) -> str:
    if not text.isprintable() or not 1 <= len(text) <= LONGEST_NAME:
        message = f"{text!r} is not 1 to {LONGEST_NAME} printable characters."
        raise ValueError(message)
    return text


_BROKER = Option("--broker URL", f"where RabbitMQ is, amqp:// or amqps:// (default: {DEFAULT_URL})")


SERVER = Program(
    "imgbatch-server",
    Group(
        "who and where",
        _BROKER,
        Option("--name NAME", "what people call this machine (default: its host name)", _name),
        Option(
            "--allow PLACE",
            "let clients have this machine read and write there itself: s3://bucket, or a folder "
            "that it shares with them; may be repeated (default: nowhere)",
            FOLDER,
            multiple=True,
        ),
    ),
    _CERTIFICATES,
    Group(
        "how much",
        _PROCS,
        Option(
            "--prefetch N",
            "images, or bundles of small ones, that a worker holds of each batch: one is "
            "computed, the others come meanwhile; 1..100 (default: 3)",
            IntRange(1, 100),
        ),
    ),
    Group(
        "limits",
        *_LIMITS,
        Option(
            "--worker-memory SIZE",
            "replace a worker that holds more than this between two images (default: 1GiB)",
            amount,
            "memory_bytes",
        ),
    ),
    Group(
        "watching",
        Option(
            "--metrics-port PORT",
            "show figures for Prometheus at http://ADDRESS:PORT/metrics (default: no)",
            PORT,
        ),
        Option(
            "--metrics-address ADDRESS",
            "where it listens; 0.0.0.0 is everywhere (default: 127.0.0.1, this machine only)",
        ),
        _LOG_FORMAT,
        Typed("--check", "compile and test the kernels, say how long it took, and exit"),
        Option("--verbose", "log more, to standard error"),
    ),
)

STATUS = Program(
    "imgbatch-status",
    Group(
        "what",
        _BROKER,
        Option("--json", "print JSON instead of a table"),
        Option("--watch", "go on, and refresh the table every few seconds, until Ctrl-C"),
        Option("--wait S", "how long to listen for answers (default: 1.5)", seconds),
    ),
    _CERTIFICATES,
)

PREVIEW = Program(
    "imgbatch-preview",
    Group(
        "what",
        Argument(["source"], help="a photograph, or a folder of them", metavar="INPUT", type=PATH),
        Typed(
            "--sheet OUT.jpg",
            "write a contact sheet of variants there, a JPEG, instead of opening a page; "
            "of a folder, it shows the first photograph",
            PATH,
        ),
    ),
    Group(
        "the page",
        Typed("--port PORT", "listen there, on this machine only (default: a free port)", PORT),
        Typed("--no-browser", "print the page's address and open no browser"),
        Option("--verbose", "print each request, to standard error"),
    ),
)

PROGRAMS = (CLIENT, SERVER, STATUS, PREVIEW)
