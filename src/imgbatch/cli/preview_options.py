"""The options of imgbatch-preview."""

from __future__ import annotations

from pathlib import Path

from imgbatch.cli.options import Completes, Example, Group, Kind, Option, Program, Remark, whole

PREVIEW = Program(
    name="imgbatch-preview",
    summary="See brightness, contrast and sharpness on your own photographs, and copy the "
    "imgbatch-client command that applies them.",
    synopsis="imgbatch-preview INPUT [options]",
    groups=(
        Group(
            "what",
            (
                Option(
                    "INPUT",
                    "a photograph, or a folder of them",
                    completes=Completes.FILE,
                    everywhere=False,
                ),
                Option(
                    "--sheet",
                    "write a contact sheet of variants there, a JPEG, instead of opening a page; "
                    "of a folder, it shows the first photograph",
                    "OUT.jpg",
                    Path,
                    completes=Completes.FILE,
                    everywhere=False,
                ),
            ),
        ),
        Group(
            "the page",
            (
                Option(
                    "--port",
                    "listen there, on this machine only (default: a free port)",
                    "PORT",
                    whole(0, 65535),
                    everywhere=False,
                ),
                Option(
                    "--no-browser",
                    "print the page's address and open no browser",
                    kind=Kind.SWITCH,
                    everywhere=False,
                ),
                Option("--verbose", "print each request, to standard error", kind=Kind.SWITCH),
            ),
        ),
    ),
    examples=(
        Example("imgbatch-preview photos/", "go through the folder, choose, copy the command"),
        Example(
            "imgbatch-preview photo.jpg --sheet variants.jpg",
            "no browser: a picture of variants side by side",
        ),
    ),
    remarks=(
        Remark(
            "privacy",
            "The page is served to this machine only, at an address that nobody can guess; "
            "nothing leaves the machine, and no file is changed. Ctrl-C ends it.",
        ),
    ),
    exit_statuses=(
        (0, "ended by Ctrl-C, or the sheet is written"),
        (1, "the photograph for the sheet can't be processed"),
        (2, "the command makes no sense"),
    ),
)
