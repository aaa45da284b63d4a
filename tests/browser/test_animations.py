"""Animations play in a browser as they played before: each frame, for as long, as often."""

import base64

import numpy as np
import pytest
from PIL import Image
from tests.support import images

from imgbatch.images.formats import inspect
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Recipe

FRAMES = """
    const [file, type, done] = arguments
    const bytes = Uint8Array.from(atob(file), letter => letter.charCodeAt(0))
    const play = async () => {
        const decoder = new ImageDecoder({ data: bytes, type })
        await decoder.tracks.ready
        await decoder.completed
        const track = decoder.tracks.selectedTrack
        const canvas = new OffscreenCanvas(1, 1)
        const found = { plays: track.repetitionCount, shown: [] }
        for (let frameIndex = 0; frameIndex < track.frameCount; frameIndex++) {
            const { image } = await decoder.decode({ frameIndex })
            canvas.width = image.displayWidth
            canvas.height = image.displayHeight
            const context = canvas.getContext("2d")
            context.drawImage(image, 0, 0)
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
            found.shown.push([Array.from(data), image.duration / 1000])
        }
        return found
    }
    play().then(done, error => done(String(error)))"""


@pytest.fixture
def play(browser, tmp_path):
    """Return what plays a file: its number of repetitions, and each frame with its milliseconds."""
    (tmp_path / "page.html").write_text("<!doctype html>")
    browser.get((tmp_path / "page.html").as_uri())

    def played(file, kind):
        found = browser.execute_async_script(
            FRAMES, base64.b64encode(file).decode(), f"image/{kind.lower()}"
        )
        assert isinstance(found, dict), found
        shown = []
        for data, milliseconds in found["shown"]:
            frame = np.array(data, np.uint8)
            if shown and (shown[-1][0] == frame).all():
                shown[-1] = frame, shown[-1][1] + milliseconds
            else:
                shown.append((frame, milliseconds))
        return found["plays"], shown

    return played


def drawings():
    """Return frames of which some leave a hole behind them."""
    for number in range(4):
        frame = np.zeros((24, 40, 4), np.uint8)
        frame[:, :] = (40, 90, 160, 255)
        frame[3 + number : 12 + number, 4 * number : 4 * number + 9] = (230, 30 * number, 60, 255)
        frame[10:20, 20 + number : 30] = 0 if number in (0, 2) else 255
        yield Image.fromarray(frame)


@pytest.mark.parametrize("loop", [0, 2])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_plays_as_before(play, kind, loop):
    first, *rest = drawings()
    options = {
        "GIF": {"disposal": 2},
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    file = images.pillow_file(
        *(first, kind),
        save_all=True,
        append_images=rest,
        duration=[80, 250, 120, 500],
        **{"loop": loop} | options.get(kind, {}),
    )
    written = Pipeline().run(file, Recipe()).data
    (plays, before), (plays_after, after) = (play(it, kind) for it in (file, written))
    assert plays_after == plays
    assert [time for _, time in before] == [80, 250, 120, 500]
    assert [time for _, time in after] == [time for _, time in before]
    for (was, _), (now, _) in zip(before, after, strict=True):
        assert abs(was.astype(int) - now).max() <= (12 if kind == "AVIF" else 0)


def test_what_a_gif_erases_is_transparent_as_imgbatch_sees_it(play):
    from imgbatch.images.buffers import Buffers
    from imgbatch.recipe import DamagedPolicy

    first, *rest = (Image.fromarray(np.asarray(it)[:, :, :3]).quantize(8) for it in drawings())
    options = {"save_all": True, "append_images": rest, "duration": 100, "disposal": 2}
    file = images.pillow_file(first, "GIF", **options)
    source = inspect(memoryview(file), Limits())
    ours = [frame.pixels for frame in source.frames(Buffers(), DamagedPolicy.STRICT)]
    for (seen, _), frame in zip(play(file, "GIF")[1], ours, strict=True):
        assert (seen.reshape(frame.shape) == frame).all()
