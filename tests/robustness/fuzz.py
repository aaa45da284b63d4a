"""Put thousands of damaged files through the pipeline, and count how each ends.

A program of its own, ``python tests/robustness/fuzz.py --seed N --cases N``, so that what kills
a decoder kills this process, and not the run of the tests. The name of the case at hand stands
in a file while it runs (``--state``). The last line of output is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.support import heifs, images

from imgbatch.adjustment import Adjustment
from imgbatch.errors import ImageError
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import DamagedPolicy, Encoding, OutputFormat, Recipe
from imgbatch.workers.process import settle_in

LIMITS = Limits(max_pixels=4_000_000, max_bytes=16_000_000)

RECIPES = [
    Recipe(Adjustment(10, 20, 30)),
    Recipe(Adjustment(10, 20, 30), Encoding(damaged=DamagedPolicy.SALVAGE)),
    Recipe(Adjustment(0, -50, 0), Encoding(OutputFormat.PNG, damaged=DamagedPolicy.SALVAGE)),
    Recipe(Adjustment(), Encoding(OutputFormat.JPEG, strip_metadata=True)),
]


def seeds() -> dict[str, bytes]:
    """Return valid files of every kind."""
    rgb, rgba, grey = images.pixels(), images.pixels(channels=4), images.pixels(channels=1)
    described = {"exif": b"Exif\0\0" + images.exif(), "icc_profile": images.profile()}
    beside = (
        images.chunk(b"iCCP", b"p\0\0" + images.zlib.compress(images.profile())),
        images.chunk(b"eXIf", images.exif()),
        images.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + images.XMP),
        images.chunk(b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\1"),
    )
    palette = images.Image.fromarray(rgb).quantize(16)
    cmyk = images.Image.fromarray(rgb).convert("CMYK")
    return {
        "jpeg": images.jpeg(rgb, **described),
        "jpeg progressive": images.jpeg(rgb, progressive=True, subsampling=0),
        "jpeg grey": images.jpeg(grey, optimize=True),
        "jpeg cmyk": images.pillow_file(cmyk, "JPEG"),
        "png": images.png_of(rgb, before=beside),
        "png 16": images.png_of(images.pixels(channels=4, bits=16)),
        "png grey 16": images.png_of(images.pixels(channels=1, bits=16)),
        "png grey alpha": images.png_of(images.pixels(channels=2)),
        "png palette": images.pillow_file(palette, "PNG", transparency=3),
        "png 1 bit": images.pillow_file(images.Image.fromarray(rgb).convert("1"), "PNG"),
        "png animated": images.pillow_file(
            images.Image.fromarray(rgba), "PNG", save_all=True, append_images=[palette]
        ),
        "tiff": images.tiff(rgb, **described),
        "tiff lzw": images.tiff(rgba, compression="tiff_lzw"),
        "tiff jpeg": images.tiff(rgb, compression="jpeg"),
        "tiff palette": images.pillow_file(palette, "TIFF", compression="packbits"),
        "tiff pages": images.pillow_file(
            images.Image.fromarray(rgb),
            "TIFF",
            save_all=True,
            append_images=[images.Image.fromarray(rgb).resize((9, 7))],
        ),
        "tiff big": images.tiff(rgb, big_tiff=True, **described),
        "tiff cmyk": images.pillow_file(cmyk, "TIFF", compression="tiff_adobe_deflate"),
        "webp": images.webp(rgba, **described),
        "webp lossless": images.webp(rgb, lossless=True),
        "webp animated": images.animation("WEBP", lossless=True),
        "gif": images.pillow_file(palette, "GIF", comment=b"of a picture"),
        "gif animated": images.animation("GIF", disposal=2),
        "avif": images.avif(rgba, **described),
        "avif animated": images.animation("AVIF"),
        "heif": heifs.sample("phone"),
        "heif tiles": heifs.grid(2),
        "bmp": images.bmp(rgb),
        "bmp palette": images.pillow_file(palette, "BMP"),
        "poison": images.animation_with_short_frame(),
        "bomb": images.length_bomb(),
    }


def flip_bits(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Flip one to eight bits."""
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def flip_early(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Flip bits where headers are."""
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(min(len(data), 200))] ^= 1 << rng.randrange(8)
    return data


def extreme_number(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Write a number of the kind that lengths and counts go wrong with."""
    value = rng.choice(
        (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\1", b"\xff\xff")
    )
    at = rng.randrange(len(data))
    data[at : at + len(value)] = value
    return data


def truncate(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Cut the end off."""
    return data[: rng.randrange(len(data))]


def remove(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Take a piece out."""
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]
    return data


def repeat(data: bytearray, rng: random.Random, _: list[bytes]) -> bytearray:
    """Write a piece twice."""
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 300)]
    data[start:start] = piece
    return data


def splice(data: bytearray, rng: random.Random, others: list[bytes]) -> bytearray:
    """Go on as another file does."""
    other = rng.choice(others)
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def shuffle_chunks(data: bytearray, rng: random.Random, others: list[bytes]) -> bytearray:
    """Reorder a PNG's chunks, checksums left right; other formats have bits flipped."""
    chunks = [(k, bytearray(b)) for k, b in images.png_chunks(bytes(data)) if len(k) == 4]
    if data[:4] != b"\x89PNG" or not chunks:
        return flip_bits(data, rng, others)
    rng.shuffle(chunks)
    _, body = rng.choice(chunks)
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    header = [pair for pair in chunks if pair[0] == b"IHDR"]
    others_first = header + [pair for pair in chunks if pair[0] != b"IHDR"]
    ordered = others_first if rng.random() < 0.8 else chunks
    return data[:8] + b"".join(images.chunk(k, bytes(b)) for k, b in ordered)


MUTATIONS: list[Callable[[bytearray, random.Random, list[bytes]], bytearray]] = [
    flip_bits,
    flip_early,
    extreme_number,
    truncate,
    remove,
    repeat,
    splice,
    shuffle_chunks,
]


def resident_bytes() -> int:
    """Return the memory this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


Case = tuple[str, bytes, Recipe]


def mutated(seed: int, cases: int) -> Iterator[Case]:
    """Yield valid files, each changed one to three times."""
    valid = seeds()
    names, files = list(valid), list(valid.values())
    for case in range(cases):
        rng = random.Random(seed * 1_000_003 + case)
        name = rng.choice(names)
        data = bytearray(valid[name])
        for _ in range(rng.randint(1, 3)):
            data = rng.choice(MUTATIONS)(data, rng, files) or bytearray(b"\xff")
        yield f"case {case} of {name}", bytes(data), rng.choice(RECIPES)


def failing(cases: int) -> Iterator[Case]:
    """Yield files that every decoder gives up on, late."""
    valid = seeds()
    cut = [data[: len(data) * 9 // 10] for name, data in valid.items() if "tiff" not in name]
    flipped = [flip_middle(data) for name, data in valid.items() if name.startswith("png")]
    deep = images.jpeg(images.pixels(640, 480))
    files = [*cut, *flipped, deep[: len(deep) // 2] + b"\xff\xd9", deep[:-2]]
    for case in range(cases):
        yield f"case {case}", files[case % len(files)], RECIPES[0]


def flip_middle(data: bytes) -> bytes:
    """Flip a bit in the middle."""
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def files_of(folder: Path) -> Iterator[Case]:
    """Yield every file of a folder, by each recipe."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for recipe in RECIPES:
                yield str(path), path.read_bytes(), recipe


def run(cases: Iterable[Case], state: Path) -> dict[str, object]:
    """Run the cases, and return what became of them."""
    pipeline = Pipeline(LIMITS)
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = 0.0
    resident_at_start = 0
    for number, (name, data, recipe) in enumerate(cases):
        state.write_text(name)
        started = time.perf_counter()
        outcome = outcome_of(pipeline, data, recipe)
        slowest = max(slowest, time.perf_counter() - started)
        outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith(("internal-error", "raised", "worker")):
            wrong.append(f"{name}: {outcome}")
        if number == 600:  # by then every library is loaded and every buffer has grown
            resident_at_start = resident_bytes()
    return {
        "outcomes": dict(outcomes),
        "wrong": wrong[:20],
        "slowest_seconds": slowest,
        "grown_bytes": resident_bytes() - resident_at_start,
        "peak_bytes": _peak_bytes(),
    }


def outcome_of(pipeline: Pipeline, data: bytes, recipe: Recipe) -> str:
    """Return ``written`` or the code of the failure; what is neither names itself."""
    try:
        processed = pipeline.run(data, recipe)
    except ImageError as error:
        return f"{error.code}: {error} ({error.__cause__!r})"
    except BaseException as error:
        return f"raised: {error!r}"
    return "written" if processed.data else "raised: no data"


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--state", type=Path, default=Path(os.devnull))
    parser.add_argument("--failing", type=int)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    result = os.fdopen(os.dup(1), "w")
    settle_in()  # as a worker does: it is quiet, whatever the decoders complain of
    cases = mutated(options.seed, options.cases)
    if options.failing is not None:
        cases = failing(options.failing)
    elif options.folder is not None:
        cases = files_of(options.folder)
    with result:
        print(json.dumps(run(cases, options.state)), file=result)


def _peak_bytes() -> int:
    """Return the most memory that this program has held.

    Not what getrusage says: that begins with the peak of whoever started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
