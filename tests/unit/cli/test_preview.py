import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from imgbatch.cli.preview import main


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (60, 40), (90, 90, 90)).save(path)
    return path


def test_the_sheet_is_written_and_its_path_printed(photograph, tmp_path, capsys):
    sheet = tmp_path / "sheet.jpg"
    assert main([str(photograph), "--sheet", str(sheet)]) == 0
    assert capsys.readouterr().out == f"{sheet}\n"
    assert sheet.read_bytes().startswith(b"\xff\xd8\xff")


def test_a_folder_s_sheet_shows_its_first_photograph(photograph, tmp_path):
    sheet = tmp_path / "sheets" / "sheet.jpg"
    sheet.parent.mkdir()
    assert main([str(tmp_path), "--sheet", str(sheet)]) == 0
    assert sheet.exists()


def test_a_damaged_photograph_has_no_sheet_and_the_sentence_names_it(photograph, tmp_path, capsys):
    photograph.write_bytes(photograph.read_bytes()[:-50])
    assert main([str(photograph), "--sheet", str(tmp_path / "sheet.jpg")]) == 1
    assert f"imgbatch-preview: {photograph}: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["/nowhere"], ["{photo}", "--sheet", "/nowhere/a.jpg"]])
def test_what_makes_no_sense_exits_with_2_and_one_line(photograph, arguments, capsys):
    assert main([argument.format(photo=photograph) for argument in arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_taken_port_is_named(photograph, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(photograph), "--no-browser", "--port", str(port)]) == 2
    assert f"--port {port}" in capsys.readouterr().err


@pytest.fixture
def start():
    started = []

    def run(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "imgbatch.cli.preview", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_the_page_is_served_until_ctrl_c_ends_it_quietly(photograph, start):
    process = start(photograph, "--no-browser", "--verbose")
    address = urlsplit(process.stdout.readline().strip())
    connection = http.client.HTTPConnection(address.netloc, timeout=20)
    connection.request("GET", address.path)
    assert connection.getresponse().status == 200
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    connection.close()
    assert process.returncode == 0
    lines = errors.splitlines()
    assert lines[0] == "imgbatch-preview runs until Ctrl-C"
    assert '"GET /…/ HTTP/1.1" 200' in lines[1]
    assert address.path.strip("/") not in errors


def test_the_browser_is_opened_at_the_address(photograph, start, tmp_path):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    process = start(photograph, BROWSER=str(browser))
    url = process.stdout.readline().strip()
    for _ in range(2000):
        if opened.exists():
            break
        time.sleep(0.01)
    # What the browser is told stands in the list of processes, and has not the secret address.
    address = urlsplit(opened.read_text().strip())
    page = Path(address.path)
    assert address.scheme == "file"
    assert f'content="0; url={url}"' in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert not page.exists()
