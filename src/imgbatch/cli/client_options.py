"""The options of imgbatch-client."""

from __future__ import annotations

from pathlib import Path

from imgbatch.adjustment import FACTOR_RANGES
from imgbatch.cli.options import (
    Completes,
    Example,
    Group,
    Kind,
    Option,
    Program,
    Remark,
    amount,
    procs,
    seconds,
    whole,
)
from imgbatch.cli.presets import PRESETS
from imgbatch.recipe import DamagedPolicy, OutputFormat, PngLevel, Progressive

_EXAMPLES = (
    Example(
        "imgbatch-client photos/ out/ --contrast 20 --sharpness 30",
        "every photograph below photos/, on this machine's cores; the originals stay as they are",
    ),
    Example(
        "imgbatch-client photos/ out/ --preset punchy --dry-run", "only say what would be done"
    ),
    Example(
        "imgbatch-client photos/ out/ --include '*.png' --format jpeg --quality 85",
        "PNGs as JPEGs",
    ),
    Example(
        "imgbatch-client photos/ out/ --contrast 20 --resume",
        "go on after Ctrl-C, a crash or a full disk; what is done is not done again",
    ),
    Example(
        "imgbatch-client photos/ out/ --contrast 20 --broker amqp://user:secret@host/",
        "on all machines that run imgbatch-server there",
    ),
)
_REMARKS = (
    Remark(
        "environment and settings file",
        "Most options can also be given as IMGBATCH_<NAME> (IMGBATCH_BROKER, "
        "IMGBATCH_IMAGE_TIMEOUT, ...) or in the [imgbatch] table of ~/.config/imgbatch.toml (or "
        "--config FILE). The command line counts most, then --preset, the environment, the "
        "settings file.",
    ),
)
_EXIT_STATUSES = (
    (0, "every image was written (files that are no images are skipped, and listed in the report)"),
    (1, "some images failed; all others are written, and the report says why"),
    (2, "the command makes no sense, or would replace files"),
    (3, "the run could not go on: broker, disk, or worker processes"),
    (130, "interrupted by Ctrl-C; --resume continues"),
)


def quality(text: str) -> int | None:
    """Convert ``keep`` to None, and a whole number from 1 to 100."""
    if text == "keep":
        return None
    try:
        return whole(1, 100)(text)
    except ValueError:
        message = "'keep' or a whole number from 1 to 100"
        raise ValueError(message) from None


_WHAT = Group(
    "what and where to",
    (
        Option(
            "INPUT",
            "folder of photographs, or a single one; never changed",
            convert=Path,
            completes=Completes.FILE,
            everywhere=False,
        ),
        Option(
            "OUTPUT",
            "folder for the results, made at need; folders below INPUT are mirrored in it",
            convert=Path,
            completes=Completes.FOLDER,
            everywhere=False,
        ),
    ),
)

_ADJUSTMENT = Group(
    "adjustment (0 leaves a photograph as it is)",
    (
        Option(
            "--brightness",
            "brighter by N levels of 255, darker below 0; -100..100 (default: 0)",
            "N",
            whole(*FACTOR_RANGES["brightness"]),
        ),
        Option(
            "--contrast",
            "more contrast, less below 0: the slope about mid-grey is 1 + 2N/100, below 0 it is "
            "1 + N/100; -100..100 (default: 0)",
            "N",
            whole(*FACTOR_RANGES["contrast"]),
        ),
        Option(
            "--sharpness",
            "sharper: the weight of the four neighbours in percent; 0..100 (default: 0)",
            "N",
            whole(*FACTOR_RANGES["sharpness"]),
        ),
        Option(
            "--preset",
            f"a named adjustment ({', '.join(PRESETS)}), or a TOML file with an [imgbatch] table "
            "of options; single options given beside it win",
            "NAME|FILE.toml",
            suggestions=tuple(PRESETS),
            completes=Completes.FILE,
        ),
        Option(
            "--explain",
            "print the exact arithmetic for these factors and exit",
            kind=Kind.SWITCH,
            everywhere=False,
        ),
    ),
)

_FILES = Group(
    "which files",
    (
        Option(
            "--recursive",
            "also those in folders below INPUT (default: yes)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--include",
            "only files that match, like '*.jpg'; may be repeated. A pattern without a slash is "
            "held against the name, one with a slash against the path below INPUT, where ** "
            "crosses folders; capitals do not matter",
            "GLOB",
            kind=Kind.VALUES,
        ),
        Option(
            "--exclude",
            "no files that match, and nothing in folders that match; may be repeated",
            "GLOB",
            kind=Kind.VALUES,
        ),
        Option(
            "--hidden",
            "also files and folders whose names begin with a dot (default: no)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--files-from",
            "take the files this list names, by paths below INPUT, separated by newlines or NUL; "
            "- reads standard input",
            "FILE|-",
            completes=Completes.FILE,
            everywhere=False,
        ),
        Option(
            "--watch",
            "when all is done, wait for new files and take each as soon as it is completely "
            "written, until Ctrl-C",
            kind=Kind.SWITCH,
            everywhere=False,
        ),
    ),
)

_RESULTS = Group(
    "results",
    (
        Option(
            "--format",
            "keep each image's format, or write all as JPEG or PNG (default: keep)",
            choices=tuple(OutputFormat),
        ),
        Option(
            "--quality",
            "quality of JPEGs: keep the source's, or 1..100 (default: keep)",
            "keep|N",
            quality,
            suggestions=("keep",),
        ),
        Option(
            "--progressive",
            "write JPEGs progressive (default: keep, as the source is)",
            choices=tuple(Progressive),
        ),
        Option(
            "--png-level",
            "write PNGs quickly, or smaller in about four times the time (default: fast)",
            choices=tuple(PngLevel),
        ),
        Option(
            "--strip",
            "drop all metadata but the colour profile and the orientation (default: no)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--damaged",
            "strict: a damaged image fails. salvage: what can be decoded of it is written, and "
            "noted (default: strict)",
            choices=tuple(DamagedPolicy),
        ),
        Option(
            "--preserve",
            "give results the permissions and times of their sources (default: yes)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--overwrite",
            "replace files that are in OUTPUT (default: refuse to begin)",
            kind=Kind.SWITCH,
            everywhere=False,
        ),
        Option(
            "--resume",
            "continue the run that wrote OUTPUT: what it finished with the same settings, from "
            "files that are unchanged since, is not done again",
            kind=Kind.SWITCH,
            everywhere=False,
        ),
        Option(
            "--checksum",
            "with --resume: know unchanged files by content, not by size and time (default: no)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--report",
            "where the report goes; .csv and .html beside it "
            "(default: OUTPUT/imgbatch-report.json)",
            "PATH",
            Path,
            completes=Completes.FILE,
        ),
    ),
)

_WHO = Group(
    "who computes",
    (
        Option(
            "--procs",
            "processes on this machine; auto: one for each core that affinity and container "
            "leave (default: auto)",
            "auto|N",
            procs,
            suggestions=("auto",),
        ),
        Option(
            "--broker",
            "use the machines that run imgbatch-server at this RabbitMQ: "
            "amqp://user:password@host/, or amqps:// for TLS (default: only this machine)",
            "URL",
        ),
        Option("--machines", "with --broker: use at most N machines (default: all)", "N", whole(1)),
        Option(
            "--timeout",
            "with --broker: give up when no machine took part for S seconds (default: wait)",
            "S",
            seconds,
        ),
        Option(
            "--mixed-fleet",
            "with --broker: use machines whose results differ in some bits, too (default: no)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--image-timeout",
            "on this machine: end a worker that takes longer for one image; after three tries the "
            "image fails (default: 120)",
            "S",
            seconds,
        ),
        Option(
            "--max-pixels",
            "refuse images of more pixels, width times height, like 100M (default: 250M)",
            "N",
            amount,
        ),
        Option(
            "--max-bytes",
            "refuse larger files, like 512MiB (default: 256MiB)",
            "SIZE",
            amount,
        ),
    ),
)

_SHOWN = Group(
    "what is shown",
    (
        Option(
            "--html",
            "also make the report's page, with a gallery of before and after (default: yes)",
            kind=Kind.ON_OFF,
        ),
        Option(
            "--progress",
            "on standard error: a live display on a terminal and else a line every few seconds "
            "(auto), always lines (plain), or nothing (default: auto)",
            choices=("auto", "plain", "none"),
        ),
        Option("--json", "print the run's figures as JSON on standard output", kind=Kind.ON_OFF),
        Option(
            "--dry-run",
            "say which files would be written, and write nothing",
            kind=Kind.SWITCH,
            everywhere=False,
        ),
        Option(
            "--config",
            "settings file (default: ~/.config/imgbatch.toml, if it is there)",
            "FILE.toml",
            Path,
            completes=Completes.FILE,
        ),
    ),
)

CLIENT = Program(
    name="imgbatch-client",
    synopsis="imgbatch-client INPUT OUTPUT [options]",
    summary="Make a folder of photographs brighter, richer in contrast, sharper, into another "
    "folder: on this machine, or on many through RabbitMQ.",
    groups=(_WHAT, _ADJUSTMENT, _FILES, _RESULTS, _WHO, _SHOWN),
    examples=_EXAMPLES,
    remarks=_REMARKS,
    exit_statuses=_EXIT_STATUSES,
)
