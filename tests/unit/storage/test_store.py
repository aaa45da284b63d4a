"""What is made of answers that no store of the tests gives, from a web server that gives them."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from imgbatch.errors import Code, EngineError, FileError
from imgbatch.storage import store
from imgbatch.storage.places import ObjectPath

PLACE = ObjectPath("s3://holiday", "photos")
PHOTO = PLACE / "a.jpg"
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
KEY_ID, SECRET = "HIDDENKEYID", "hidden-secret"  # of no store
CUT = 0
"""A status: the connection ends without an answer."""


class Server(ThreadingHTTPServer):
    """Gives the answers that it was told, each once, and holds what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.asked: list[str] = []
        self.sent: list[dict[str, str]] = []

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answers.append((status, body, headers))

    def fail(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code></Error>".encode())

    def list(self, *objects: tuple[str, int], more: str = "") -> None:
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2015-10-21T07:28:00Z</LastModified>"
            f'<Size>{size_bytes}</Size><ETag>"1"</ETag></Contents>'
            for key, size_bytes in objects
        )
        more = more and f"<NextContinuationToken>{more}</NextContinuationToken>"
        more = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}"
        self.answer(200, f"<ListBucketResult>{more}{contents}</ListBucketResult>".encode())


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.sent.append(dict(self.headers))
        status, body, headers = self.server.answers.pop(0)
        if status == CUT:
            return
        self.send_response(status)
        for name, value in {"Last-Modified": DATE, "ETag": '"1"', **headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = handle_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing but what a test says tells of stores and keys."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(store, "FIRST_PAUSE_SECONDS", 0.01)
    store._opened.cache_clear()
    yield
    store._opened.cache_clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reasons: list[str] = []
    monkeypatch.setattr(store, "on_waiting", reasons.append)
    return reasons


def names(place: ObjectPath = PLACE) -> list[str]:
    return [stored.name for stored in store.objects_below(place)]


def test_objects_that_stand_for_folders_are_left_out(server: Server) -> None:
    server.list(
        ("photos/", 0), ("photos/2024/", 0), ("photos/2024/a.jpg", 9), ("photos/empty", 0),
        ("photos/later/", 0),
    )  # fmt: skip
    server.answer(200)  # an empty object
    server.answer(404)
    assert names() == ["2024/a.jpg", "empty"]
    assert server.asked[1:] == ["HEAD /holiday/photos/empty", "HEAD /holiday/photos/later"]


def test_a_listing_goes_on_behind_a_folder_that_ended_a_page(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PAGE_OBJECTS", 2)
    server.list(("photos/2024-a.jpg", 9), ("photos/2024/", 0), more="next")
    server.answer(404)
    server.fail(503, "SlowDown")
    server.list(("photos/2024/a.jpg", 9))
    assert names() == ["2024-a.jpg", "2024/a.jpg"]
    assert server.asked[-1].endswith("start-after=photos%2F2024%2F+")


def test_an_etag_that_was_listed_without_quotes_is_the_same(server: Server) -> None:
    """As Azure lists it."""
    server.answer(200, b"photograph", ETag='"0x8D1"')
    assert bytes(store.read(PHOTO, "0x8D1")[0]) == b"photograph"
    (sent,) = server.sent
    assert {name.lower(): value for name, value in sent.items()}["if-match"] == '"0x8D1"'


def test_nothing_is_held_of_an_object_that_is_of_another_size(server: Server) -> None:
    """Here, what it has would never come."""
    server.answer(200, b"photo", **{"Content-Length": "1000000000000"})
    with pytest.raises(FileError) as caught:
        store.read(PHOTO, '"1"', 10)
    assert caught.value.code is Code.CHANGED_FILE


@pytest.mark.parametrize("there", [b"result", b"others", b"longer than that"])
def test_an_object_is_ours_if_the_answer_that_said_so_was_lost(
    server: Server, told: list[str], there: bytes
) -> None:
    server.answer(CUT)
    server.fail(412, "PreconditionFailed")
    server.answer(200, there, ETag=f'"{hashlib.md5(there, usedforsecurity=False).hexdigest()}"')
    if there == b"result":
        store.write(PHOTO, memoryview(b"result"), {}, overwrite=False)
    else:
        with pytest.raises(FileError) as caught:
            store.write(PHOTO, b"result", {}, overwrite=False)
        assert caught.value.code is Code.OUTPUT_EXISTS
    assert [asked.split()[0] for asked in server.asked] == ["PUT", "PUT", "GET"]
    assert told == ["waiting for s3://holiday: the connection failed", ""]


def test_an_object_that_was_there_at_first_is_not_ours(server: Server) -> None:
    server.fail(412, "PreconditionFailed")
    with pytest.raises(FileError) as caught:
        store.write(PHOTO, b"result", {}, overwrite=False)
    assert caught.value.code is Code.OUTPUT_EXISTS
    assert len(server.asked) == 1


def test_a_body_that_came_too_slowly_is_sent_again(server: Server, told: list[str]) -> None:
    server.fail(400, "RequestTimeout")
    server.answer(200)
    store.write(PHOTO, b"result", {}, overwrite=False)
    assert told == ["waiting for s3://holiday: it answers 400 RequestTimeout", ""]


def test_a_key_like_the_address_of_a_cloud_is_waited_for(server: Server) -> None:
    server.answer(CUT)
    server.answer(200, b"photograph")
    assert bytes(store.read(PLACE / "169.254.jpg")[0]) == b"photograph"


@pytest.mark.parametrize("status", [301, 403])
def test_no_error_has_the_librarys_text(server: Server, status: int) -> None:
    server.fail(status, "InvalidAccessKeyId")
    with pytest.raises(EngineError) as caught:
        store.read(PHOTO)
    assert caught.value.code is Code.STORAGE_REFUSED
    context = caught.value.__context__
    while context is not None:
        assert f"{server.server_port}" not in "".join(traceback.format_exception(context))
        context = context.__context__


def test_another_region_is_told_at_once(server: Server, told: list[str]) -> None:
    server.fail(301, "PermanentRedirect")
    with pytest.raises(EngineError) as caught:
        names()
    assert caught.value.code is Code.STORAGE_REFUSED
    assert "of another region" in str(caught.value)
    assert "AWS_REGION" in str(caught.value)
    assert told == []


@pytest.mark.parametrize(
    ("url", "variable"),
    [("az://holiday", "AZURE_STORAGE_ACCOUNT_NAME"), ("gs://holiday", "GOOGLE_APPLICATION")],
)
def test_missing_settings_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, told: list[str], tmp_path: Path, url: str, variable: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(EngineError) as caught:
        names(ObjectPath(url))
    assert caught.value.code is Code.STORAGE_REFUSED
    assert variable in str(caught.value)
    assert told == []


def test_a_damaged_file_of_keys_is_named_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(f"aws_secret_access_key = {SECRET}\n")
    with pytest.raises(EngineError) as caught:
        names()
    assert caught.value.code is Code.STORAGE_REFUSED
    assert str(tmp_path / "credentials") in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_variables_outrank_a_profile(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    (tmp_path / "config").write_text(
        "[default]\nendpoint_url = http://127.0.0.1:9\nregion = us-west-2\n"
        f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    )
    server.answer(200, b"photograph")
    assert bytes(store.read(PHOTO)[0]) == b"photograph"
    (sent,) = server.sent
    signed = {name.lower(): value for name, value in sent.items()}["authorization"]
    assert KEY_ID in signed
    assert "/eu-central-1/s3/" in signed
