"""imgbatch-preview: see an adjustment before a folder goes through it."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.cli.main import run
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.programs import PREVIEW
from imgbatch.cli.terminal import print_err, print_out
from imgbatch.errors import Code, ImageError, UsageError

if TYPE_CHECKING:
    from imgbatch.preview.command import Album
    from imgbatch.preview.server import PreviewServer


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """What imgbatch-preview can be told.

    Parameters
    ----------
    source
        A photograph, or a folder of them.
    sheet
        Where a contact sheet goes, instead of a page in the browser.
    port
        Where the page is served; 0 is a free one.
    no_browser, verbose
        Open no browser; print each request.
    """

    source: Path | None = None
    sheet: Path | None = None
    port: int = 0
    no_browser: bool = False
    verbose: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-preview; return its exit status."""
    return run(PREVIEW, _act, arguments)


def _act(given: Mapping[str, Any]) -> int:
    from imgbatch.preview.command import open_album
    from imgbatch.settings import filled

    options = filled(PreviewOptions, given)
    if options.source is None:
        raise UsageError(
            Code.INPUT_MISSING, "give a photograph or a folder; --help shows the options"
        )
    album = open_album(options.source)
    if options.sheet is not None:
        return _write_sheet(album, options.sheet)
    try:
        return _serve(album, options)
    except KeyboardInterrupt:
        return 0


def _write_sheet(album: Album, target: Path) -> int:
    from imgbatch.images.limits import Limits
    from imgbatch.preview.darkroom import read_photograph
    from imgbatch.preview.sheet import contact_sheet, variants

    first = album.paths[0]
    try:
        photograph = read_photograph(first, Limits())
        target.write_bytes(contact_sheet(photograph, variants(PRESETS)))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            Code.BAD_OPTION, f"{error.filename} can't be read or written: {reason}"
        ) from error
    except ImageError as error:
        raise type(error)(error.code, f"{first}: {error.sentence}") from error
    print_out(str(target))
    return 0


def _serve(album: Album, options: PreviewOptions) -> int:
    from imgbatch.preview.server import PreviewServer

    try:
        server = PreviewServer(album, options.port, PRESETS)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            Code.BAD_OPTION,
            f"--port {options.port} can't be had: {reason}; leave it out to take a free one",
        ) from error
    if options.verbose:
        server.tell = print_err
    try:
        _announce(server, opens_browser=not options.no_browser)
        server.serve_forever()
    finally:
        server.close()
    return 0


def _announce(server: PreviewServer, *, opens_browser: bool) -> None:
    # The address alone on standard output, so that a script can take it.
    print(server.url, flush=True)
    print("imgbatch-preview runs until Ctrl-C", file=sys.stderr)
    if opens_browser:
        # Some browsers hold the call until they are closed.
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
