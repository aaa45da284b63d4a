"""imgbatch-preview: see an adjustment before a folder goes through it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from imgbatch.errors import Code, ImgbatchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgbatch.adjustment import Adjustment
    from imgbatch.preview.command import Album
    from imgbatch.preview.server import PreviewServer

_EPILOG = """\
examples:
  imgbatch-preview photos/                  page through the folder, choose, copy the command
  imgbatch-preview photo.jpg                one photograph
  imgbatch-preview photo.jpg --sheet variants.jpg
                                            no browser: a picture of variants side by side

The page is served to this machine only, at an address nobody can guess; nothing leaves it.
Ctrl-C ends it.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the options of imgbatch-preview."""
    parser = argparse.ArgumentParser(
        prog="imgbatch-preview",
        description="See brightness, contrast and sharpness on your own photographs, and copy the "
        "imgbatch-client command that applies them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="PHOTO|FOLDER", type=Path, help="what to look at")
    parser.add_argument(
        "--sheet",
        metavar="OUT.jpg",
        type=Path,
        help="write a contact sheet of variants there instead of opening a page; "
        "of a folder, its first photograph",
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="listen there (default: a free port)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the page's address, open no browser"
    )
    parser.add_argument("--verbose", action="store_true", help="print each request")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-preview and return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        return _run(options)
    except ImgbatchError as error:
        print(f"imgbatch-preview: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 0


def _run(options: argparse.Namespace) -> int:
    from imgbatch.preview.command import open_album

    album = open_album(options.input)
    if options.sheet is not None:
        return _write_sheet(album, options.sheet)
    return _serve(album, options)


def _write_sheet(album: Album, target: Path) -> int:
    from imgbatch.images.limits import Limits
    from imgbatch.preview.darkroom import read_photograph
    from imgbatch.preview.sheet import contact_sheet, variants

    try:
        photograph = read_photograph(album.paths[0], Limits())
        target.write_bytes(contact_sheet(photograph, variants(_presets())))
    except OSError as error:
        raise UsageError(
            Code.BAD_OPTION, f"{error.filename}: {(error.strerror or str(error)).lower()}"
        ) from error
    print(target)
    return 0


def _serve(album: Album, options: argparse.Namespace) -> int:
    from imgbatch.preview.server import PreviewServer

    try:
        server = PreviewServer(album, options.port, _presets())
    except OSError as error:
        raise UsageError(
            Code.BAD_OPTION,
            f"port {options.port} can't be had: {(error.strerror or str(error)).lower()}; "
            "leave --port out to take a free one",
        ) from error
    if options.verbose:
        server.tell = _tell
    try:
        _announce(server, opens_browser=not options.no_browser)
        server.serve_forever()
    finally:
        server.close()
    return 0


def _announce(server: PreviewServer, *, opens_browser: bool) -> None:
    print(server.url, flush=True)
    print("The preview runs until Ctrl-C.", file=sys.stderr)
    if opens_browser:
        import threading
        import webbrowser

        # Some browsers hold the call until they are closed.
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()


def _presets() -> dict[str, Adjustment]:
    return {}


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
