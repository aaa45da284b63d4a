"""Whole runs on this machine whose photographs lie in a bucket, go to one, or both."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.faulty_http import Fault, faulty_http
from tests.support.photos import encoded, fill
from tests.support.programs import Programs, programs_in, wait_until
from tests.support.s3 import Bucket

from imgbatch.adjustment import Adjustment
from imgbatch.pipeline import process
from imgbatch.run import run_batch

pytestmark = [pytest.mark.store, pytest.mark.slow, pytest.mark.timeout(180)]

REPORT = ["imgbatch-report.csv", "imgbatch-report.html", "imgbatch-report.json"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, where reports of runs into a bucket go."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with programs_in(tmp_path / "logs") as started:
        yield started


def brighter(photos: dict[str, bytes]) -> dict[str, bytes]:
    return {name: process(data, Adjustment(brightness=20)) for name, data in photos.items()}


def results(bucket: Bucket, folder: str = "out") -> dict[str, bytes]:
    names = bucket.keys(folder)
    return {name: bucket.get(f"{folder}/{name}") for name in names if "imgbatch-" not in name}


def test_a_bucket_goes_through_into_another_place_of_it(bucket: Bucket, here: Path) -> None:
    photos = bucket.fill("in/deep", 3)
    bucket.put("in/notes.txt", b"where we were")
    report = run_batch(f"{bucket.url}/in", f"{bucket.url}/out", Adjustment(brightness=20))
    assert report.exit_status == 0
    assert results(bucket) == {f"deep/{name}": data for name, data in brighter(photos).items()}
    folder = here / f"imgbatch-report-{bucket.name}-out"
    assert {path.name for path in folder.iterdir()} == {*REPORT, "imgbatch-report.journal"}
    assert {name for name in bucket.keys("out") if "imgbatch-" in name} == set(REPORT)
    told = json.loads(bucket.get("out/imgbatch-report.json"))
    assert told["images"]["written"] == 3
    assert told["images"]["skipped"] == 1
    assert {file["output"] for file in told["files"]} >= {f"{bucket.url}/out/deep/IMG_0000.jpg"}


def test_a_folder_goes_into_a_bucket_and_comes_back(bucket: Bucket, tmp_path: Path) -> None:
    sources = fill(tmp_path / "in", 2)
    up = run_batch(tmp_path / "in", f"{bucket.url}/out", Adjustment(brightness=20))
    down = run_batch(f"{bucket.url}/out", tmp_path / "back", include=["*.jpg"], html=False)
    assert (up.exit_status, down.exit_status) == (0, 0)
    for source in sources:
        once = process(source.read_bytes(), Adjustment(brightness=20))
        assert bucket.get(f"out/{source.name}") == once
        assert (tmp_path / "back" / source.name).read_bytes() == process(once, Adjustment())
    assert os.access(tmp_path / "back" / "IMG_0000.jpg", os.R_OK | os.W_OK)
    assert (tmp_path / "back" / "imgbatch-report.json").exists()


def test_a_single_object_goes_through(bucket: Bucket, tmp_path: Path) -> None:
    photos = bucket.fill("in", 2)
    report = run_batch(f"{bucket.url}/in/IMG_0001.jpg", tmp_path / "out", Adjustment(brightness=20))
    assert report.exit_status == 0
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")}
    assert written == {"IMG_0001.jpg": brighter(photos)["IMG_0001.jpg"]}


def test_patterns_and_lists_choose_objects_as_they_do_files(bucket: Bucket, tmp_path: Path) -> None:
    bucket.fill("in", 1)
    bucket.fill("in/trash", 1)
    bucket.fill("in/.hidden", 1)
    bucket.fill("in", 1, ".png")
    bucket.fill("in-other", 1)
    run_batch(f"{bucket.url}/in", tmp_path / "a", exclude=["trash", "*.png"], html=False)
    assert [path.name for path in (tmp_path / "a").rglob("*.jpg")] == ["IMG_0000.jpg"]
    names = ["trash/IMG_0000.jpg", f"{bucket.url}/in/IMG_0000.png", "none.jpg"]
    report = run_batch(f"{bucket.url}/in", tmp_path / "b", names=lambda: names, html=False)
    found = {str(path.relative_to(tmp_path / "b")) for path in (tmp_path / "b").rglob("*.??g")}
    assert found == {"trash/IMG_0000.jpg", "IMG_0000.png"}
    assert report.totals.by_code == {"unreadable-file": 1}


def test_results_keep_what_their_objects_carried(bucket: Bucket) -> None:
    carried = {"Content-Type": "binary/octet-stream", "Cache-Control": "max-age=60", "author": "me"}
    bucket.put("in/a", encoded(".png"), **carried)
    run_batch(f"{bucket.url}/in", f"{bucket.url}/out", html=False)
    run_batch(f"{bucket.url}/in", f"{bucket.url}/bare", html=False, preserve=False)
    assert bucket.attributes("out/a") == carried | {"Content-Type": "image/png"}
    assert bucket.attributes("bare/a") == {"Content-Type": "image/png"}
    assert bucket.attributes("out/imgbatch-report.json")["Content-Type"] == "application/json"


def test_output_below_the_input_is_none_of_the_input(bucket: Bucket) -> None:
    bucket.fill("in", 1)
    for _ in range(2):
        report = run_batch(f"{bucket.url}/in", f"{bucket.url}/in/out", overwrite=True, html=False)
        assert report.totals.files == 1


def test_what_is_there_is_not_replaced_unless_that_is_asked_for(
    bucket: Bucket, programs: Programs, tmp_path: Path
) -> None:
    bucket.fill("in", 2)
    bucket.put("out/IMG_0001.jpg", b"mine")
    words = [f"{bucket.url}/in", f"{bucket.url}/out", "--brightness", 20]
    refused = programs.client(*words)
    assert refused.wait() == 2
    assert f"{bucket.url}/out already holds IMG_0001.jpg" in refused.said()
    assert bucket.get("out/IMG_0001.jpg") == b"mine"
    assert programs.client(*words, "--overwrite").wait() == 0
    assert bucket.get("out/IMG_0001.jpg") != b"mine"


def test_resume_does_only_what_changed_or_is_missing(bucket: Bucket) -> None:
    photos = bucket.fill("in", 4)
    bucket.put("in/IMG_0003.jpg", photos["IMG_0003.jpg"][:300])
    words = (f"{bucket.url}/in", f"{bucket.url}/out", Adjustment(brightness=20))
    run_batch(*words, html=False)
    bucket.put("in/IMG_0000.jpg", photos["IMG_0000.jpg"])  # the same content, at another time
    bucket.put("in/IMG_0001.jpg", encoded(".jpg", seed=99))
    bucket.delete("out/IMG_0002.jpg")
    before = {name: meta for name, meta in listing(bucket).items() if name == "IMG_0000.jpg"}
    report = run_batch(*words, html=False, resume=True)
    assert report.totals.timed == 3  # the failed one is tried again
    assert results(bucket)["IMG_0001.jpg"] == process(
        encoded(".jpg", seed=99), Adjustment(brightness=20)
    )
    assert results(bucket).keys() == {f"IMG_000{number}.jpg" for number in range(3)}
    assert listing(bucket)["IMG_0000.jpg"] == before["IMG_0000.jpg"]


def test_a_dry_run_only_tells(bucket: Bucket, programs: Programs, here: Path) -> None:
    bucket.fill("in", 7)
    told = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", "--dry-run")
    assert told.wait() == 0
    assert f"IMG_0006.jpg -> {bucket.url}/out/IMG_0006.jpg" in told.said()
    assert "7 files" in told.said()
    assert bucket.keys("out") == set()
    assert list(here.iterdir()) == []


def test_objects_are_taken_as_they_come(bucket: Bucket, programs: Programs, here: Path) -> None:
    client = programs.client(f"{bucket.url}/in", f"{bucket.url}/out", "--watch")
    wait_until((here / f"imgbatch-report-{bucket.name}-out").exists, "the run to begin")
    bucket.fill("in", 1)
    wait_until(lambda: bucket.keys("out") == {"IMG_0000.jpg"}, "the first result")
    bucket.fill("in", 2)
    wait_until(lambda: len(bucket.keys("out")) == 2, "the second result")
    client.send(signal.SIGINT)
    assert client.wait() == 0
    told = json.loads(bucket.get("out/imgbatch-report.json"))
    assert told["images"]["total"] == 2


def test_refused_credentials_end_the_run_with_a_sentence_that_helps(
    bucket: Bucket, programs: Programs, tmp_path: Path
) -> None:
    fill(tmp_path / "in", 1)
    for places in ((f"{bucket.url}/in", "out"), (tmp_path / "in", f"{bucket.url}/out")):
        env = {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
        client = programs.client(*places, env=env)
        assert client.wait() == 3
        assert f"{bucket.url} refuses this machine's credentials" in client.said()
        assert "not-the-secret" not in client.said()


def test_waiting_for_a_store_is_told_and_charged_to_no_image(
    bucket: Bucket, programs: Programs, tmp_path: Path
) -> None:
    bucket.fill("in", 2)
    with faulty_http(bucket.server.port) as proxy:
        proxy.chosen = lambda _method, path: path.endswith(".jpg")
        proxy.faults = [Fault.SLOW_DOWN] * 12
        env = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        words = ["--image-timeout", 1, "--procs", 1, "--progress", "plain"]
        client = programs.client(f"{bucket.url}/in", tmp_path / "out", *words, env=env)
        assert client.wait() == 0
    assert f"waiting for {bucket.url}: it answers 503 SlowDown" in client.said()
    assert {file["attempts"] for file in client.report()["files"]} == {1}


def test_a_killed_run_leaves_whole_objects_and_goes_on(bucket: Bucket, programs: Programs) -> None:
    photos = bucket.fill("in", 12, ".png", width=300, height=200)
    words = [f"{bucket.url}/in", f"{bucket.url}/out", "--brightness", 20, "--procs", 1]
    client = programs.client(*words)
    wait_until(lambda: len(bucket.keys("out")) > 1, "some results")
    client.send_all(signal.SIGKILL)
    expected = brighter(photos)
    there = results(bucket)
    assert 1 < len(there) < 12
    assert there.items() <= expected.items()
    assert programs.client(*words, "--resume").wait() == 0
    assert results(bucket) == expected


def listing(bucket: Bucket) -> dict[str, object]:
    import obstore

    listed = obstore.list(bucket.store, "out").collect()
    return {meta["path"].rpartition("/")[2]: meta["last_modified"] for meta in listed}
