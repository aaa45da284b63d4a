"""The options of imgbatch-preview."""

from __future__ import annotations

from imgbatch.cli.options import Argument, Group, Option, Program
from imgbatch.cli.values import PORT, path

PREVIEW = Program(
    "imgbatch-preview",
    "See brightness, contrast and sharpness on your own photographs, and copy the "
    "imgbatch-client command that applies them.",
    (
        Group(
            "what",
            (
                Argument("INPUT", "a photograph, or a folder of them", path("INPUT"), "source"),
                Option(
                    "--sheet",
                    "write a contact sheet of variants there, a JPEG, instead of opening a page; "
                    "of a folder, it shows the first photograph",
                    path("OUT.jpg"),
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
                    PORT,
                    everywhere=False,
                ),
                Option(
                    "--no-browser",
                    "print the page's address and open no browser",
                    everywhere=False,
                ),
                Option("--verbose", "print each request, to standard error"),
            ),
        ),
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
