"""imgbatch-preview: see an adjustment before a folder goes through it."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.cli.options import parse
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.preview_options import PREVIEW
from imgbatch.cli.terminal import say, tell
from imgbatch.errors import Code, ImageError, ImgbatchError, UsageError

if TYPE_CHECKING:
    from imgbatch.preview.command import Album
    from imgbatch.preview.server import PreviewServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-preview; return its exit status."""
    given = parse(PREVIEW, arguments)
    try:
        return _show(given)
    except ImgbatchError as error:
        tell(f"imgbatch-preview: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        return 0


def _show(given: Mapping[str, Any]) -> int:
    from imgbatch.preview.command import open_album

    if "input" not in given:
        raise UsageError(
            Code.INPUT_MISSING, "give a photograph or a folder; --help shows the options"
        )
    album = open_album(Path(given["input"]))
    if "sheet" in given:
        return _write_sheet(album, given["sheet"])
    return _serve(album, given)


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
    say(str(target))
    return 0


def _serve(album: Album, given: Mapping[str, Any]) -> int:
    from imgbatch.preview.server import PreviewServer

    port = given.get("port", 0)
    try:
        server = PreviewServer(album, port, PRESETS)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            Code.BAD_OPTION,
            f"--port {port} can't be had: {reason}; leave it out to take a free one",
        ) from error
    if given.get("verbose"):
        server.tell = tell
    try:
        _announce(server, opens_browser=not given.get("no_browser"))
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
