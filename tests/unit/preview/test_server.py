import http.client
import json
import mimetypes
import threading
from urllib.parse import urlsplit

import pytest
import simplejpeg
from PIL import Image

from imgbatch.adjustment import Adjustment
from imgbatch.preview.command import open_album
from imgbatch.preview.server import PAGE_FILES, PreviewServer

ASKED = "fit_width=400&fit_height=300&brightness=10&contrast=0&sharpness=5"


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (80, 60), (90, 120, 150)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"no image")
    return tmp_path


@pytest.fixture
def server(folder):
    made = PreviewServer(open_album(folder), presets={"bright": Adjustment(brightness=12)})
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.close()


class Client:
    def __init__(self, server):
        self.port = server.server_port
        self.token = server.token

    def get(self, path, *, token=None, host=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {} if host is None else {"Host": host}
        target = f"/{self.token if token is None else token}/{path}"
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body


@pytest.fixture
def client(server):
    return Client(server)


@pytest.mark.parametrize("name", sorted(PAGE_FILES))
def test_every_file_of_the_page_is_served_with_its_type(client, name):
    answer, body = client.get(name)
    assert answer.status == 200
    kind = mimetypes.guess_type(PAGE_FILES[name])[0]
    assert answer.headers["Content-Type"].startswith(kind)
    assert body


def test_the_address_is_on_loopback_with_a_token_nobody_guesses(server):
    address = urlsplit(server.url)
    assert address.hostname == "127.0.0.1"
    assert len(address.path.strip("/")) >= 32
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 32, "%00", "%C3%A9"])
def test_without_the_token_nothing_is_served(client, token):
    for path in ("", "album.json", "photo/0/facts.json", "preview.js"):
        answer, body = client.get(path, token=token)
        assert answer.status == 403
        assert b"a.jpg" not in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", "[::1]"])
def test_a_request_made_for_another_host_is_refused(client, host):
    answer, _ = client.get("album.json", host=host.format(port=client.port))
    assert answer.status == 403


def test_localhost_is_this_host_too(client):
    answer, _ = client.get("album.json", host=f"localhost:{client.port}")
    assert answer.status == 200


def test_the_page_may_load_nothing_from_elsewhere(client):
    answer, body = client.get("")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"//" not in body.replace(b"<!--", b"")


def test_the_album_tells_names_ranges_presets_and_the_command(client, folder):
    _, body = client.get("album.json")
    album = json.loads(body)
    assert album["photos"] == ["a.jpg", "b.jpg"]
    assert album["ranges"]["sharpness"] == [0, 100]
    assert album["presets"] == {"bright": {"brightness": 12, "contrast": 0, "sharpness": 0}}
    assert album["command"].startswith(f"imgbatch-client {folder} ")


def test_a_picture_comes_with_its_histogram(client):
    answer, body = client.get(f"photo/0/whole.jpg?{ASKED}")
    assert answer.status == 200
    assert body.startswith(b"\xff\xd8")
    assert len(json.loads(answer.headers["Imgbatch-Histogram"])["bins"]) == 64


def test_a_detail_comes_in_the_size_asked_for(client):
    answer, body = client.get(
        "photo/0/detail.jpg?x=10&y=10&width=20&height=15&brightness=0&contrast=0&sharpness=0"
    )
    assert answer.status == 200
    assert simplejpeg.decode_jpeg_header(body)[:2] == (15, 20)


def test_facts_are_told_without_decoding(client):
    _, body = client.get("photo/0/facts.json")
    assert json.loads(body) == {"width": 80, "height": 60}


def test_a_file_that_is_no_image_is_told_by_name(client):
    answer, body = client.get(f"photo/1/whole.jpg?{ASKED}")
    assert answer.status == 422
    assert json.loads(body)["sentence"].startswith("b.jpg: ")


def test_a_file_that_has_gone_is_told_by_name(client, folder):
    (folder / "a.jpg").unlink()
    answer, body = client.get("photo/0/facts.json")
    assert answer.status == 422
    assert "a.jpg can't be read" in json.loads(body)["sentence"]


@pytest.mark.parametrize(
    "path",
    [
        "nothing", "photo/2/facts.json", "photo/-1/facts.json", "photo/x/facts.json",
        "photo/0/other.jpg?" + ASKED, "photo/0/whole.jpg", "photo/0/whole.jpg?fit_width=x",
        "../../../etc/passwd", "%2e%2e/pyproject.toml", "photo/0/0/0",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client, path):
    answer, _ = client.get(path)
    assert answer.status == 404


def test_a_factor_out_of_range_is_refused(client):
    answer, body = client.get(
        f"photo/0/whole.jpg?{ASKED.replace('brightness=10', 'brightness=999')}"
    )
    assert answer.status == 422
    assert "brightness" in json.loads(body)["sentence"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_reading_is_offered(client, method):
    answer, _ = client.get("album.json", method=method)
    assert answer.status == 501


def test_an_error_of_our_own_is_told_not_hidden(server, client, monkeypatch):
    def fail(*_arguments):
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(server.renderer, "ask", fail)
    answer, body = client.get("photo/0/facts.json")
    assert answer.status == 500
    assert "nobody thought of this" in json.loads(body)["sentence"]


def test_requests_are_told_without_the_token(server, client):
    lines = []
    server.tell = lines.append
    client.get("album.json")
    assert lines
    assert "album.json" in lines[0]
    assert server.token not in lines[0]
