import base64
import io
import json
import os
import stat
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgbatch.batch import gallery
from imgbatch.batch.gallery import (
    FEWEST_PICTURES,
    Pair,
    answer_requests,
    make_thumbnails,
    spread,
)


@pytest.fixture
def pair(tmp_path):
    Image.new("RGB", (1200, 800), (10, 20, 30)).save(tmp_path / "before.jpg")
    Image.new("RGB", (1200, 800), (110, 120, 130)).save(tmp_path / "after.jpg")
    return Pair(tmp_path / "before.jpg", tmp_path / "after.jpg")


def opened(thumbnail):
    return Image.open(io.BytesIO(base64.b64decode(thumbnail)))


def test_a_pair_is_shown_small_before_and_after(pair):
    thumbnails = make_thumbnails([pair], 60)[0]
    assert (thumbnails.width, thumbnails.height) == (480, 320)
    assert opened(thumbnails.before).size == (480, 320)
    assert opened(thumbnails.before).getpixel((9, 9))[0] == pytest.approx(10, abs=3)
    assert opened(thumbnails.after).getpixel((9, 9))[0] == pytest.approx(110, abs=3)


def test_files_that_cannot_be_decoded_are_left_out(pair, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pair.before.read_bytes()[:-50])
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    gone = tmp_path / "gone.jpg"
    bad = [Pair(broken, broken), Pair(text, pair.after), Pair(pair.before, gone)]
    assert list(make_thumbnails([*bad, pair, *bad], 60)) == [3]


def test_where_there_is_no_time_a_few_are_made_all_the_same(pair):
    made = make_thumbnails([pair] * 40, 0)
    assert list(made) == sorted(spread(40)[:FEWEST_PICTURES])


def test_no_pairs_start_no_worker():
    assert make_thumbnails([], 60) == {}


@pytest.fixture
def worker_script(tmp_path, monkeypatch):
    """Put a script in the place of the interpreter that runs the workers."""

    def install(body):
        script = tmp_path / "worker"
        script.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(gallery.sys, "executable", str(script))

    return install


DIES_OF_SOME = """
for line in sys.stdin:
    before, after = json.loads(line)
    if "bad" in before:
        os.abort()
    print(json.dumps({"before": before, "after": after, "width": 1, "height": 1}), flush=True)
"""


def test_a_worker_that_dies_takes_only_its_own_pair_with_it(worker_script, tmp_path):
    worker_script(DIES_OF_SOME)
    names = ["a", "bad1", "b", "bad2", "c", "d", "bad3", "e", "f"]
    made = make_thumbnails([Pair(tmp_path / name, tmp_path / name) for name in names], 60)
    assert [names[number] for number in made] == ["a", "b", "c", "d", "e", "f"]


SPEAKS_OUT_OF_TURN = """
for number, line in enumerate(sys.stdin):
    before, after = json.loads(line)
    answer = json.dumps({"before": before, "after": after, "width": 1, "height": 1})
    print({"bad1": "libpng warning: what a file", "bad2": "[1]", "bad3": "{}"}.get(before, answer))
    sys.stdout.flush()
"""


def test_an_answer_that_makes_no_sense_costs_its_own_pair_only(worker_script):
    worker_script(SPEAKS_OUT_OF_TURN)
    names = ["a", "bad1", "b", "bad2", "c", "d", "bad3", "e", "f"]
    made = make_thumbnails([Pair(Path(name), Path(name)) for name in names], 60)
    assert [names[number] for number in made] == ["a", "b", "c", "d", "e", "f"]


def test_what_native_code_prints_is_no_answer(pair, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "import imgbatch.images.display as display\n"
        "real = display.open_photograph\n"
        "def open_photograph(*arguments):\n"
        "    os.write(1, b'libtiff: what a file\\n')\n"
        "    return real(*arguments)\n"
        "display.open_photograph = open_photograph\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    request = json.dumps([str(pair.before), str(pair.after)]) + "\n"
    done = subprocess.run(
        [sys.executable, "-P", "-m", "imgbatch.batch.gallery"],
        input=request.encode(),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout).keys() == {"before", "after", "width", "height"}
    assert b"libtiff" in done.stderr


def test_a_worker_that_hangs_is_ended_with_the_time(worker_script, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "GRACE_SECONDS", 0.2)
    worker_script("time.sleep(600)\n")
    assert make_thumbnails([Pair(tmp_path, tmp_path)] * 2, 0.3) == {}


def test_the_gallery_stops_growing_at_its_limit(worker_script, tmp_path, monkeypatch):
    worker_script(DIES_OF_SOME)
    monkeypatch.setattr(gallery, "LARGEST_GALLERY_BYTES", 1000)
    made = make_thumbnails([Pair(tmp_path / ("x" * 200), tmp_path)] * 90, 60)
    assert 4 <= len(made) <= 12


def test_a_worker_answers_line_by_line(pair, tmp_path):
    lines = [[str(pair.before), str(pair.after)], [str(tmp_path / "gone"), str(pair.after)]]
    requests = io.BytesIO("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    answers = io.BytesIO()
    answer_requests(requests, answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first.keys() == {"before", "after", "width", "height"}
    assert second is None


def test_names_that_are_not_utf_8_reach_the_worker(pair, tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    odd.write_bytes(pair.before.read_bytes())
    assert list(make_thumbnails([Pair(odd, odd)], 60)) == [0]


@given(st.integers(0, 300))
def test_spread_is_a_permutation(count):
    assert sorted(spread(count)) == list(range(count))


@given(st.integers(1, 300), st.data())
def test_any_beginning_of_a_spread_leaves_no_wide_gap(count, data):
    taken = data.draw(st.integers(1, count))
    places = [-1, *sorted(spread(count)[:taken]), count]
    widest = max(second - first for first, second in pairwise(places))
    assert widest <= 4 * count / taken + 1
