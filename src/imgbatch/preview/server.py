"""The preview page over HTTP: for users of this machine who know the token.

The server listens on loopback only. Other users of the machine, and pages of other sites in the
same browser, can reach that as well, so each request must name a random token, and the host it
was made for: a site that points its own name at 127.0.0.1 is refused. The page may load nothing
that this server does not hand out, by its Content-Security-Policy.
"""

from __future__ import annotations

import hmac
import json
import mimetypes
import re
import secrets
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

from imgbatch.adjustment import Adjustment
from imgbatch.errors import ImgbatchError
from imgbatch.preview.command import Album, command_line
from imgbatch.preview.process import Box, RenderingProcess
from imgbatch_kernels.coefficients import FACTOR_RANGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOPBACK = "127.0.0.1"
_PHOTO = re.compile(r"photo/(?P<index>[0-9]{1,9})/(?P<what>facts\.json|whole\.jpg|detail\.jpg)")
PAGE_FILES = {
    "": "preview/page/index.html",
    "icon.svg": "assets/icon.svg",
    "look.css": "assets/look.css",
} | {
    name: f"preview/page/{name}"
    for name in ("pictures.js", "preview.css", "preview.js", "settings.js", "stage.js")
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Refused(Exception):
    """What the page is told in place of what it asked for: a status and a sentence."""


_NOT_HERE = HTTPStatus.NOT_FOUND, "there is nothing at this address"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back for one request."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def _fields_answer(status: HTTPStatus = HTTPStatus.OK, **fields: object) -> Answer:
    """Return an answer of JSON; where something is wrong, with a sentence that the page shows."""
    return Answer(status, json.dumps(fields).encode())


class PreviewServer(ThreadingHTTPServer):
    """A preview of one album. Serve it with `serve_forever`; `close` ends it.

    Parameters
    ----------
    album
        The photographs.
    port
        0 takes a free one.
    presets
        Named adjustments that the page offers.

    Raises
    ------
    OSError
        If the port is taken.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, album: Album, port: int = 0, presets: Mapping[str, Adjustment] | None = None
    ) -> None:
        self.album = album
        self.paths = album.paths
        self.token = secrets.token_urlsafe(24)
        self.presets = dict(presets or {})
        self.tell: Callable[[str], None] = lambda _line: None
        super().__init__((LOOPBACK, port), _Handler)
        self.renderer = RenderingProcess()

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def answer(self, host: str, target: str) -> Answer:
        """Return the answer to a GET request for `target`, made for `host`."""
        try:
            return self._found(host, urlsplit(target))
        except Refused as refused:
            status, sentence = refused.args
        except Exception as error:  # the page shows it; a closed connection would tell nothing
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            sentence = f"imgbatch-preview has an error: {type(error).__name__}: {error}"
            self.tell(sentence)
        return _fields_answer(status, sentence=sentence)

    def close(self) -> None:
        """Stop listening and decoding."""
        self.server_close()
        self.renderer.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that a browser drops; they are its way to cancel."""

    def _found(self, host: str, address: SplitResult) -> Answer:
        _, token, path = [*address.path.split("/", 2), "", ""][:3]
        if host not in (f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"):
            raise Refused(HTTPStatus.FORBIDDEN, "this address is not served here")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            sentence = "open the address that imgbatch-preview printed"
            raise Refused(HTTPStatus.FORBIDDEN, sentence)
        if path in PAGE_FILES:
            file = files("imgbatch").joinpath(PAGE_FILES[path])
            kind, _ = mimetypes.guess_type(file.name)
            return Answer(HTTPStatus.OK, file.read_bytes(), f"{kind}; charset=utf-8")
        if path == "album.json":
            return self._album_answer()
        photo = _PHOTO.fullmatch(path)
        if photo is None or int(photo["index"]) >= len(self.paths):
            raise Refused(*_NOT_HERE)
        index = int(photo["index"])
        try:
            return self._photograph_answer(index, photo["what"], dict(parse_qsl(address.query)))
        except ImgbatchError as error:
            sentence = f"{self.album.names[index]}: {error.sentence}"
        except OSError as error:
            sentence = f"{self.album.names[index]} can't be read: {error.strerror}"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, sentence)

    def _photograph_answer(self, index: int, what: str, query: Mapping[str, str]) -> Answer:
        path = self.paths[index]
        if what == "facts.json":
            width, height = self.renderer.ask("size", path)
            return _fields_answer(width=width, height=height)
        adjustment = Adjustment(*_whole_numbers(query, *FACTOR_RANGES))
        if what == "whole.jpg":
            room = (max(size, 1) for size in _whole_numbers(query, "fit_width", "fit_height"))
            neighbours = self.paths[index + 1 : index + 2] + self.paths[max(index - 1, 0) : index]
            made = self.renderer.ask("whole", path, adjustment, *room, neighbours)
        else:
            box = Box(*_whole_numbers(query, "x", "y", "width", "height"))
            made = self.renderer.ask("detail", path, adjustment, box)
        headers = {"Imgbatch-Histogram": json.dumps(made.histogram)}
        return Answer(HTTPStatus.OK, made.jpeg, "image/jpeg", headers)

    def _album_answer(self) -> Answer:
        count = len(self.paths)
        is_folder = self.album.root.is_dir()
        return _fields_answer(
            photos=self.album.names,
            scope=f"the whole folder: {count} photographs" if is_folder else "this photograph",
            command=command_line(self.album.root),
            ranges=FACTOR_RANGES,
            presets={name: asdict(preset) for name, preset in self.presets.items()},
        )


class _Handler(BaseHTTPRequestHandler):
    """One connection of the browser's."""

    server: PreviewServer
    protocol_version = "HTTP/1.1"
    server_version = "imgbatch"
    sys_version = ""
    # A head and a body written one after the other would wait 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a request."""
        answer = self.server.answer(self.headers.get("Host", ""), self.path)
        self.send_response(answer.status)
        for name, value in (_HEADERS | dict(answer.headers)).items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Tell of a request, without the token."""
        self.server.tell((format % args).replace(self.server.token, "…"))


def _whole_numbers(query: Mapping[str, str], *names: str) -> tuple[int, ...]:
    try:
        return tuple(int(query[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise Refused(*_NOT_HERE) from error
