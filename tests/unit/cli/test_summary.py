from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imgbatch.adjustment import Adjustment
from imgbatch.batch.journal_tables import Totals
from imgbatch.batch.model import Failure, Status
from imgbatch.batch.report import Report
from imgbatch.cli.summary import resume_command, summary_lines
from imgbatch.errors import Code
from imgbatch.recipe import Recipe

COMMAND = ["imgbatch-client", "my photos", "out", "--contrast", "20", "--overwrite"]
CONTINUE = "imgbatch-client 'my photos' out --contrast 20 --resume"


def report(totals: Totals, **changes: object) -> Report:
    fields: dict[str, object] = {
        "path": Path("/out/imgbatch-report.json"),
        "source": Path("/photos"),
        "target": Path("/out"),
        "recipe": Recipe(Adjustment(contrast=20)),
        "engine": "local",
        "version": "1",
        "started": "",
        "seconds": 83.0,
        "interrupted": False,
        "failure": None,
        "totals": totals,
        "page": Path("/out/imgbatch-report.html"),
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_good_run_takes_two_lines() -> None:
    totals = Totals({Status.WRITTEN: 1234, Status.SKIPPED: 2}, {}, 5_000_000, 6_000_000)
    assert summary_lines(report(totals), COMMAND) == [
        "1,234 images written to /out in 1 min 23 s (5.00 MB in, 6.00 MB out); "
        "2 skipped (no images, or of formats that are not written).",
        "Report: /out/imgbatch-report.json (.csv and .html beside it)",
    ]


def test_a_run_that_found_no_files_says_what_chooses_them() -> None:
    lines = summary_lines(report(Totals()), COMMAND)
    assert lines[0] == (
        "No files were found in /photos; --include, --exclude, --hidden and --no-recursive choose "
        "which."
    )


def test_a_run_that_adjusted_nothing_says_so() -> None:
    totals = Totals({Status.WRITTEN: 3})
    neutral = " ".join(summary_lines(report(totals, recipe=Recipe()), COMMAND))
    assert "nothing was adjusted" in neutral
    assert "nothing was adjusted" not in " ".join(summary_lines(report(totals), COMMAND))


def test_failures_are_told_by_code_with_an_example() -> None:
    totals = Totals(
        {Status.WRITTEN: 1, Status.FAILED: 4}, {Code.TRUNCATED_IMAGE: 3, Code.UNREADABLE_FILE: 1}
    )
    examples = (
        Failure(Code.TRUNCATED_IMAGE, "/photos/a.jpg: the JPEG breaks off"),
        Failure(Code.UNREADABLE_FILE, "/photos/b.jpg can't be read: permission denied"),
    )
    lines = summary_lines(report(replace(totals, examples=examples)), COMMAND)
    assert lines[1:3] == [
        "  truncated-image: 3 files, such as /photos/a.jpg: the JPEG breaks off",
        "  unreadable-file: /photos/b.jpg can't be read: permission denied",
    ]


def test_what_a_bug_says_is_cut_to_a_line() -> None:
    totals = Totals({Status.FAILED: 1}, {Code.INTERNAL_ERROR: 1})
    example = Failure(Code.INTERNAL_ERROR, "a.jpg: a bug\n" + "a long story\n" * 100)
    line = summary_lines(report(replace(totals, examples=(example,))), COMMAND)[1]
    assert "\n" not in line
    assert len(line) < 450


def test_an_interrupted_run_says_how_to_go_on() -> None:
    totals = Totals({Status.WRITTEN: 3, Status.NOT_DONE: 7})
    lines = summary_lines(report(totals, interrupted=True), COMMAND)
    assert lines[0] == "Interrupted."
    assert "7 not done" in lines[1]
    assert lines[-1] == f"Continue with: {CONTINUE}"


def test_a_run_that_could_not_go_on_says_why_first() -> None:
    failure = Failure(Code.DISK_FULL, "/out/a.jpg can't be written: no space left on device")
    lines = summary_lines(report(Totals(), failure=failure), COMMAND)
    assert lines[0] == f"The run could not go on: {failure.sentence}"
    assert lines[-1] == f"Continue with: {CONTINUE}"


def test_a_report_that_could_not_be_written_is_not_named() -> None:
    failure = Failure(Code.DISK_FULL, "no room")
    lines = summary_lines(report(Totals(), failure=failure, saved=False, page=None), COMMAND)
    assert not [line for line in lines if "imgbatch-report" in line]


def test_a_page_that_could_not_be_made_is_said() -> None:
    failure = Failure(Code.OUTPUT_FOLDER_UNWRITABLE, "the page can't be written")
    lines = summary_lines(report(Totals(), page=None, page_failure=failure), COMMAND)
    assert lines[-2:] == [
        "Report: /out/imgbatch-report.json (.csv beside it)",
        "the page can't be written",
    ]


def test_the_command_that_goes_on_is_ready_to_be_pasted() -> None:
    assert resume_command(COMMAND) == CONTINUE
    assert resume_command(["imgbatch-client", "a", "b", "--resume"]).count("--resume") == 1
