import io
import os
import threading

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from imgbatch.adjustment import Adjustment
from imgbatch.errors import DamagedImage
from imgbatch.preview.darkroom import Darkroom, Memo, Overtaken
from imgbatch.preview.rendering import Box
from imgbatch_kernels import adjust


def wanted():
    pass


def save(path, height=60, width=90, seed=1):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def darkroom(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        save(path, seed=number)
    room = Darkroom(paths)
    yield room
    room.close()


def test_the_whole_photograph_shows_what_the_kernel_makes_of_it(darkroom):
    pixels = np.asarray(Image.open(darkroom.paths[0]))
    made = darkroom.whole(0, (500, 500), Adjustment(20, 10, 0), wanted)
    shown = simplejpeg.decode_jpeg(made.jpeg)
    expected = adjust(pixels, brightness=20, contrast=10)
    assert np.abs(shown.astype(int) - expected).mean() < 6
    assert np.abs(shown.astype(int) - pixels).mean() > 10


def test_the_whole_photograph_fits_the_room(darkroom):
    made = darkroom.whole(0, (45, 500), Adjustment(), wanted)
    assert simplejpeg.decode_jpeg_header(made.jpeg)[:2] == (30, 45)


def test_a_detail_is_cut_from_the_full_size(darkroom):
    made = darkroom.detail(1, Box(10, 20, 30, 500), Adjustment(), wanted)
    shown = simplejpeg.decode_jpeg(made.jpeg)
    expected = np.asarray(Image.open(darkroom.paths[1]))[20:, 10:40]
    assert shown.shape == expected.shape
    # What JPEG makes of noise; another part of it would differ by 85.
    assert np.abs(shown.astype(int) - expected).mean() < 15


def test_a_file_that_changed_is_read_anew(darkroom):
    before = darkroom.whole(0, (500, 500), Adjustment(), wanted)
    save(darkroom.paths[0], seed=99)
    os.utime(darkroom.paths[0], ns=(1, 1))
    assert darkroom.whole(0, (500, 500), Adjustment(), wanted) != before


def test_work_that_nobody_waits_for_is_not_begun(darkroom):
    def not_wanted():
        raise Overtaken

    with pytest.raises(Overtaken):
        darkroom.whole(0, (500, 500), Adjustment(), not_wanted)
    with pytest.raises(Overtaken):
        darkroom.detail(0, Box(0, 0, 5, 5), Adjustment(), not_wanted)
    assert darkroom.whole(0, (500, 500), Adjustment(), wanted).jpeg


def test_a_damaged_neighbour_does_not_disturb(tmp_path):
    good, bad = tmp_path / "a.jpg", tmp_path / "b.jpg"
    save(good)
    bad.write_bytes(good.read_bytes()[:-100])
    room = Darkroom([good, bad, tmp_path / "gone.jpg"])
    try:
        assert room.whole(0, (500, 500), Adjustment(), wanted).jpeg
        with pytest.raises(DamagedImage):
            room.whole(1, (500, 500), Adjustment(), wanted)
        with pytest.raises(FileNotFoundError):
            room.whole(2, (500, 500), Adjustment(), wanted)
        assert room.whole(0, (500, 500), Adjustment(), wanted).jpeg
    finally:
        room.close()


def test_the_print_carries_the_colour_profile(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(path, icc_profile=profile)
    room = Darkroom([path])
    try:
        made = room.whole(0, (500, 500), Adjustment(), wanted)
    finally:
        room.close()
    assert Image.open(io.BytesIO(made.jpeg)).info["icc_profile"] == profile


def test_a_memo_computes_once_for_all_who_ask():
    memo = Memo(2)
    began, release = threading.Event(), threading.Event()
    calls = []

    def compute():
        calls.append(1)
        began.set()
        release.wait(10)
        return "value"

    results = []
    threads = [
        threading.Thread(target=lambda: results.append(memo.get("key", compute))) for _ in range(4)
    ]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert results == ["value"] * 4
    assert calls == [1]


def test_a_memo_forgets_the_oldest_and_never_keeps_a_failure():
    memo = Memo(2)
    for key in "abc":
        memo.get(key, lambda key=key: key.upper())
    assert memo.get("c", lambda: "again") == "C"
    assert memo.get("a", lambda: "again") == "again"
    with pytest.raises(ZeroDivisionError):
        memo.get("d", lambda: 1 // 0)
    assert memo.get("d", lambda: "now") == "now"
