"""Whole runs on this machine: the command as a user types it, its files, its report, its words."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
from tests.support import heifs, images
from tests.support.children import children_of, workers_of
from tests.support.photos import encoded, fill

from imgbatch.adjustment import Adjustment
from imgbatch.cores import usable_cores
from imgbatch.pipeline import process

Start: TypeAlias = Callable[..., subprocess.Popen[str]]
PROJECT = Path(__file__).parents[2]
SCHEMA = json.loads((PROJECT / "docs/report.schema.json").read_text())
CLIENT = [
    sys.executable,
    "-c",
    "import sys; from imgbatch.cli.client import main; sys.exit(main())",
]


def environment() -> dict[str, str]:
    """Return an environment in which nobody's settings play a part."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IMGBATCH_")}
    return kept | {"XDG_CONFIG_HOME": "/nonexistent"}


def client(*arguments: str | Path, **rest: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLIENT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=environment(),
        **rest,
    )


def report_of(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "imgbatch-report.json").read_text())
    jsonschema.validate(report, SCHEMA)
    return report


def outputs(out: Path) -> dict[str, bytes]:
    paths = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in paths
        if not path.name.startswith("imgbatch-report.")
    }


def names_in(out: Path) -> set[str]:
    """Return the names of results, while others are still being written under hidden ones."""
    paths = (path for path in out.rglob("*") if not path.name.startswith((".", "imgbatch-report.")))
    return {str(path.relative_to(out)) for path in paths if path.is_file()}


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    fill(folder, 3)
    fill(folder / "deep", 2, ".png")
    (folder / "notes.txt").write_text("where we were")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command and go on; what is still running at the end of the test is killed."""
    started = []

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [*CLIENT, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment())
        started.append(process)
        return process

    yield begin
    for each in started:
        each.kill()
        each.communicate()


def fill_slowly(folder: Path, count: int) -> None:
    """Write photographs that take a worker a good part of a second each."""
    (first,) = fill(folder, 1, ".png", width=2000, height=1500)
    for number in range(1, count):
        shutil.copy(first, folder / f"IMG_{number:04}.png")


def test_a_folder_goes_through(photos: Path, out: Path) -> None:
    done = client(photos, out, "--brightness", "10", "--contrast", "20", "--sharpness", "40")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    adjustment = Adjustment(10, 20, 40)
    expected = {
        str(path.relative_to(photos)): process(path.read_bytes(), adjustment)
        for path in photos.rglob("IMG*")
    }
    assert outputs(out) == expected
    assert f"5 images written to {out}" in done.stderr
    assert str(out / "imgbatch-report.json") in done.stderr


def test_a_phones_folder_gives_what_its_owner_expects(tmp_path: Path) -> None:
    photos, out = tmp_path / "DCIM", tmp_path / "out"
    fill(photos, 1)
    (photos / "IMG_0001.HEIC").write_bytes(heifs.sample("phone"))
    (photos / "IMG_0001.MOV").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(900))
    (photos / "IMG_0001.AAE").write_text("<plist/>")
    (photos / "IMG_0002.PNG").write_bytes(encoded(".png"))
    (photos / "IMG_0003.GIF").write_bytes(images.animation("GIF"))
    done = client(photos, out, "--contrast", "20")
    assert done.returncode == 0, done.stderr
    written = ["IMG_0000.jpg", "IMG_0001.jpg", "IMG_0002.PNG", "IMG_0003.GIF"]
    assert sorted(outputs(out)) == written
    assert "2 skipped" in done.stderr
    files = {Path(entry["input"]).name: entry for entry in report_of(out)["files"]}
    assert files["IMG_0001.HEIC"]["notes"] == ["format-changed"]
    assert (files["IMG_0001.HEIC"]["width"], files["IMG_0001.HEIC"]["height"]) == (32, 48)
    assert files["IMG_0001.MOV"]["error"]["code"] == "not-an-image"


def test_the_report_accounts_for_every_file(photos: Path, out: Path) -> None:
    (photos / "IMG_0001.jpg").write_bytes(encoded(".jpg")[:300])
    done = client(photos, out, "--contrast", "20", "--json")
    assert done.returncode == 1
    report = report_of(out)
    assert report["images"] == {
        "total": 6, "written": 4, "failed": 1, "skipped": 1, "not_done": 0,
    }  # fmt: skip
    files = {Path(file["input"]).name: file for file in report["files"]}
    assert files["IMG_0001.jpg"]["error"]["code"] == "truncated-image"
    assert str(photos / "IMG_0001.jpg") in files["IMG_0001.jpg"]["error"]["sentence"]
    assert files["notes.txt"]["status"] == "skipped"
    assert Path(files["IMG_0000.jpg"]["output"]).is_file()
    assert report["machines_used"] == 1
    assert report["machines"][0]["images"] == 6
    assert json.loads(done.stdout)["images"] == report["images"]
    assert "truncated-image" in done.stderr
    with (out / "imgbatch-report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == [file["input"] for file in report["files"]]
    assert (out / "imgbatch-report.html").stat().st_size > 1000


def test_a_single_photograph_is_an_input_too(photos: Path, out: Path) -> None:
    assert client(photos / "IMG_0000.jpg", out).returncode == 0
    assert list(outputs(out)) == ["IMG_0000.jpg"]


def test_an_output_folder_inside_the_input_is_not_read(photos: Path) -> None:
    out = photos / "out"
    assert client(photos, out).returncode == 0
    assert client(photos, out, "--overwrite").returncode == 0
    assert len(outputs(out)) == 5


def test_odd_files_are_a_line_each_and_hold_nothing_up(photos: Path, out: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    (photos / "loop").symlink_to(photos)
    (photos / "nowhere.jpg").symlink_to(photos / "gone.jpg")
    (photos / "empty.jpg").touch()
    with (photos / "huge.jpg").open("wb") as file:
        file.truncate(5 * 2**30)
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes(encoded(".jpg"))
    assert client(photos, out).returncode == 1
    report = report_of(out)
    errors = {Path(file["input"]).name: file["error"] for file in report["files"]}
    codes = {name: error and error["code"] for name, error in errors.items()}
    assert codes["pipe.jpg"] == "not-an-image"
    assert codes["nowhere.jpg"] == "unreadable-file"
    assert codes["empty.jpg"] == "empty-file"
    assert codes["huge.jpg"] == "too-many-bytes"
    assert codes["caf\\xe9.jpg"] is None
    assert "loop" not in codes
    assert report["images"]["total"] == 11


def test_a_second_run_is_refused_and_changes_nothing(photos: Path, out: Path) -> None:
    client(photos, out)
    before = outputs(out), report_of(out)
    refused = client(photos, out, "--contrast", "50")
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    assert "--resume" in refused.stderr
    assert (outputs(out), report_of(out)) == before
    assert client(photos, out, "--contrast", "50", "--overwrite").returncode == 0
    assert outputs(out) != before[0]


def test_another_run_s_report_is_not_replaced_unasked(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    client(photos, out)
    fill(tmp_path / "others", 1)
    (tmp_path / "others/IMG_0000.jpg").rename(tmp_path / "others/other.jpg")
    assert client(tmp_path / "others", out).returncode == 2
    elsewhere = tmp_path / "reports" / "second.json"
    assert client(tmp_path / "others", out, "--report", elsewhere).returncode == 0
    assert json.loads(elsewhere.read_text())["images"]["written"] == 1
    assert report_of(out)["images"]["written"] == 5


def test_two_inputs_with_one_output_name_are_refused_before_anything_is_written(
    photos: Path, out: Path
) -> None:
    (photos / "IMG_0000.png").write_bytes(encoded(".png"))
    refused = client(photos, out, "--format", "jpeg")
    assert refused.returncode == 2
    assert "IMG_0000.jpg and IMG_0000.png" in refused.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing", "out"), "INPUT missing does not exist"),
        ((".", "."), "same folder"),
        ((".", "out", "--contrast", "200"), "-100<=x<=100"),
        ((".", "out", "--quality", "0"), "1<=x<=100"),
        ((".", "out", "--preset", "nice"), "punchy"),
        ((".", "out", "--overwrite", "--resume"), "exclude each other"),
        ((".", "out", "--resume"), "no run to resume"),
        ((".",), "give INPUT and OUTPUT"),
        ((".", "file"), "is a file"),
    ],
)
def test_nonsense_gets_a_sentence_and_exit_status_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "file").touch()
    done = client(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_broker_s_password_is_never_shown(photos: Path, out: Path) -> None:
    done = client(photos, out, "--broker", "http://user:secret@nowhere/")
    assert done.returncode == 2
    assert "secret" not in done.stderr + done.stdout
    assert not out.exists()


def test_times_and_permissions_are_kept(photos: Path, out: Path) -> None:
    source = photos / "IMG_0000.jpg"
    source.chmod(0o640)
    os.utime(source, ns=(1, 1_500_000_000_987_654_321))
    client(photos, out)
    seen = (out / source.name).stat()
    assert seen.st_mtime_ns == 1_500_000_000_987_654_321
    assert seen.st_mode & 0o777 == 0o640


def test_a_kill_and_then_resume_give_what_one_run_gives(
    tmp_path: Path, out: Path, start: Start
) -> None:
    photos = tmp_path / "photos"
    fill(photos, 60, width=300, height=300)
    expected = tmp_path / "expected"
    client(photos, expected, "--contrast", "20")
    killed = start(photos, out, "--contrast", "20", "--procs", "2")
    wait_for(lambda: len(names_in(out)) >= 5)
    killed.kill()
    killed.communicate()
    time.sleep(0.2)  # the kernel kills the workers; what they had written stays
    done_before = {name: path_time(out / name) for name in outputs(out) if name.startswith("IMG")}
    done = client(photos, out, "--contrast", "20", "--resume")
    assert done.returncode == 0, done.stderr
    assert outputs(out) == outputs(expected)
    untouched = [name for name, seen in done_before.items() if path_time(out / name) == seen]
    assert len(untouched) >= len(done_before) - 4  # two workers, one image under way and one ahead
    assert report_of(out)["images"]["written"] == 60


def path_time(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written anew, though its time is its source's."""
    seen = path.stat()
    return seen.st_ino, seen.st_ctime_ns


def test_resume_of_a_finished_run_does_nothing_again(photos: Path, out: Path) -> None:
    client(photos, out, "--contrast", "20")
    before = {name: path_time(out / name) for name in outputs(out)}
    done = client(photos, out, "--contrast", "20", "--resume")
    assert done.returncode == 0
    assert {name: path_time(out / name) for name in outputs(out)} == before
    fill(photos, 4)  # writes the first three anew, and one more
    client(photos, out, "--contrast", "20", "--resume", "--checksum")
    assert report_of(out)["images"]["written"] == 6


def test_ctrl_c_finishes_what_is_at_hand_and_says_how_to_go_on(
    tmp_path: Path, out: Path, start: Start
) -> None:
    photos = tmp_path / "photos"
    fill(photos, 150, width=400, height=300)
    running = start(photos, out, "--contrast", "20", "--no-html")
    wait_for(lambda: len(names_in(out)) >= 3)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Interrupted" in errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    report = report_of(out)
    assert report["interrupted"]
    assert report["images"]["total"] == 150
    assert report["images"]["not_done"] > 0
    written = {Path(file["output"]).name for file in report["files"] if file["status"] == "written"}
    assert written == set(outputs(out))
    assert client(photos, out, "--contrast", "20", "--resume", "--no-html").returncode == 0
    assert len(outputs(out)) == 150


def test_ctrl_c_twice_ends_at_once(tmp_path: Path, out: Path, start: Start) -> None:
    photos = tmp_path / "photos"
    fill_slowly(photos, 12)
    running = start(photos, out, "--png-level", "small")
    wait_for(lambda: len(names_in(out)) >= 1)
    running.send_signal(signal.SIGINT)
    time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=20)
    assert running.returncode == 130, errors
    assert report_of(out)["interrupted"]
    assert not [name for name in outputs(out) if name.startswith(".imgbatch")]


def test_workers_die_with_the_client(tmp_path: Path, out: Path, start: Start) -> None:
    fill_slowly(tmp_path / "photos", 12)
    killed = start(tmp_path / "photos", out, "--png-level", "small")
    wait_for(lambda: len(workers_of(killed.pid)) == usable_cores())
    workers = [*children_of(killed.pid), *workers_of(killed.pid)]
    killed.kill()
    killed.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_leaves_no_half_file(tmp_path: Path, small_disk: Path) -> None:
    photos = tmp_path / "photos"
    fill(photos, 30, width=300, height=300)
    expected = tmp_path / "expected"
    client(photos, expected, "--no-html")
    done = client(photos, small_disk / "out", "--no-html")
    assert done.returncode == 3, done.stderr
    assert "full" in done.stderr or "no space left" in done.stderr
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    whole = outputs(expected)
    for name, content in outputs(small_disk / "out").items():
        assert whole[name] == content
    assert 0 < len(outputs(small_disk / "out")) < 30


def test_a_report_that_is_read_only_in_part_breaks_nothing(photos: Path, out: Path) -> None:
    process = subprocess.Popen(
        [*CLIENT, str(photos), str(out), "--dry-run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert b"Traceback" not in errors
    assert not out.exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(photos: Path, out: Path) -> None:
    done = client(photos, out, "--dry-run", "--format", "jpeg")
    assert done.returncode == 0
    assert f"deep/IMG_0000.png -> {out}/deep/IMG_0000.jpg" in done.stdout
    assert not out.exists()


@pytest.mark.parametrize("separator", ["\n", "\0"])
def test_a_list_says_which_files(photos: Path, out: Path, separator: str) -> None:
    listing = separator.join(["IMG_0002.jpg", "deep/IMG_0001.png", "gone.jpg"])
    done = client(photos, out, "--files-from", "-", "--format", "jpeg", input=listing)
    assert done.returncode == 1
    assert sorted(outputs(out)) == ["IMG_0002.jpg", "deep/IMG_0001.jpg"]
    assert "unreadable-file" in done.stderr


def test_a_watched_folder_takes_files_when_they_are_complete(
    photos: Path, out: Path, start: Start
) -> None:
    running = start(photos, out, "--watch", "--no-html", "--contrast", "20")
    wait_for(lambda: len(names_in(out)) == 5)
    content = encoded(".jpg", seed=99)
    slow = (photos / "slow.jpg").open("wb")
    slow.write(content[:500])
    slow.flush()
    shutil.copy(photos / "IMG_0000.jpg", photos / "quick.jpg")
    wait_for(lambda: "quick.jpg" in names_in(out))
    assert "slow.jpg" not in outputs(out)
    slow.write(content[500:])
    slow.close()
    wait_for(lambda: "slow.jpg" in names_in(out))
    (photos / "quick.jpg").write_bytes(encoded(".jpg", seed=77))
    changed = encoded(".jpg", seed=77)
    wait_for(lambda: (out / "quick.jpg").read_bytes() == process_of(changed))
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 0, errors
    assert outputs(out)["slow.jpg"] == process_of(content)
    assert report_of(out)["images"]["written"] == 7


def process_of(data: bytes) -> bytes:
    return process(data, Adjustment(contrast=20))


def test_help_needs_neither_arrays_nor_a_broker() -> None:
    code = (
        "import sys\n"
        "from imgbatch.cli.client import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'cv2', 'numba', 'pika', 'PIL', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
