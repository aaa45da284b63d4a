"""imgbatch-preview: see an adjustment before a folder goes through it."""

from __future__ import annotations

import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch.cli.main import run
from imgbatch.cli.options import PREVIEW
from imgbatch.cli.presets import PRESETS
from imgbatch.cli.terminal import print_err, print_out
from imgbatch.errors import Code, ImageError, UsageError
from imgbatch.text import os_reason

if TYPE_CHECKING:
    from imgbatch.preview.command import Album


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-preview; return its exit status."""
    return run(PREVIEW, _act, arguments)


def _act(given: Mapping[str, Any]) -> int:
    from imgbatch.preview.command import open_album

    album = open_album(given["source"])
    return _write_sheet(album, given["sheet"]) if "sheet" in given else _serve(album, given)


def _write_sheet(album: Album, target: Path) -> int:
    from imgbatch.preview.process import RenderingProcess

    first = album.paths[0]
    renderer = RenderingProcess()
    try:
        target.write_bytes(renderer.ask("sheet", first, PRESETS))
    except OSError as error:
        sentence = f"{error.filename} can't be read or written: {os_reason(error)}"
        raise UsageError(Code.BAD_OPTION, sentence) from error
    except ImageError as error:
        raise type(error)(error.code, f"{first}: {error.sentence}") from error
    finally:
        renderer.close()
    print_out(str(target))
    return 0


def _serve(album: Album, given: Mapping[str, Any]) -> int:
    from imgbatch.preview.server import PreviewServer

    port = given.get("port", 0)
    try:
        server = PreviewServer(album, port, PRESETS)
    except OSError as error:
        reason = os_reason(error)
        sentence = f"--port {port} can't be had: {reason}; leave it out to take a free one"
        raise UsageError(Code.BAD_OPTION, sentence) from error
    if given.get("verbose"):
        server.tell = print_err
    # The address alone on standard output, so that a script can take it.
    print(server.url, flush=True)
    print_err("imgbatch-preview runs until Ctrl-C")
    try:
        with nullcontext() if given.get("no_browser") else _opened_in_browser(server.url):
            server.serve_forever()
    finally:
        server.close()
    return 0


@contextmanager
def _opened_in_browser(url: str) -> Iterator[None]:
    """Open a page in the browser by a file that only we can read, for as long as the block lasts.

    Any user who may list processes sees the browser's arguments: the address shows the photographs.
    """
    with tempfile.NamedTemporaryFile("w", prefix="imgbatch-preview-", suffix=".html") as file:
        file.write(f'<meta http-equiv="refresh" content="0; url={escape(url)}">')
        file.flush()
        # Some browsers hold the call until they are closed.
        open_it = partial(webbrowser.open, Path(file.name).as_uri())
        threading.Thread(target=open_it, daemon=True).start()
        yield


if __name__ == "__main__":
    sys.exit(main())
