"""One photograph into frames and out again, against JSON with a pickled matrix in base64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.baseline import messages
from bench.harness.jobs import FACTORS
from bench.harness.results import Race
from bench.harness.session import Session
from bench.harness.turns import in_turn, timed
from imgbatch.adjustment import Adjustment
from imgbatch.protocol import Chunk, Ticket, WireLimits, decode, encode
from imgbatch.protocol.assembly import Assembly
from imgbatch.protocol.slicing import pieces
from imgbatch.recipe import Recipe

CONTENDERS = ("imgbatch", "json, base64, pickle")
IMAGE_MEGAPIXELS = 12


def frames_of(data: bytes) -> Iterator[bytes]:
    """Yield what travels for one image that is larger than a chunk: its ticket, its pieces."""
    recipe = Recipe(Adjustment(**FACTORS)).to_fields()
    yield encode(Ticket("batch", 7, 0, "client", len(data), 250_000_000, recipe))
    for offset, piece in pieces(data):
        yield encode(Chunk("batch", 7, 1, offset, len(data)), piece)


def image_of(bodies: list[bytes]) -> memoryview:
    """Return the image that frames carry, checked and put together."""
    ticket = decode(bodies[0]).frame
    assert isinstance(ticket, Ticket)
    assembly = Assembly(ticket.size_bytes, 2**30)
    for body in bodies[1:]:
        received = decode(body, WireLimits())
        assert isinstance(received.frame, Chunk)
        whole = assembly.add(received.frame.offset_bytes, received.payload)
    assert whole is not None
    return whole


def typical_photograph(folder: Path) -> Path:
    """Return the file of a folder that is nearest to 12 megapixels."""
    import simplejpeg

    def distance(path: Path) -> float:
        height, width, *_ = simplejpeg.decode_jpeg_header(path.read_bytes())
        return abs(float(height) * width / 1e6 - IMAGE_MEGAPIXELS)

    return min(sorted(folder.iterdir()), key=distance)


def raced(bench: Session) -> Race:
    """Race both ways of carrying one photograph, and note the bytes of each."""
    import cv2

    path = typical_photograph(bench.sets.folder("tokyo").path)
    data, matrix = path.read_bytes(), cv2.imread(str(path))
    fields = {"client": "client", "name": path.name, "factors": list(FACTORS.values())}
    bench.measure("protocol/file", len(data), "B")
    bench.measure("protocol/imgbatch", sum(map(len, frames_of(data))), "B")
    bench.measure("protocol/json, base64, pickle", len(messages.packed(fields, matrix)), "B")
    runs = {
        "imgbatch": lambda: timed(lambda: image_of(list(frames_of(data)))),
        "json, base64, pickle": lambda: timed(
            lambda: messages.unpacked(messages.packed(fields, matrix))
        ),
    }
    return Race("protocol/photograph", in_turn(runs, bench.rounds(15), warm_up=2))


@pytest.mark.parametrize("contender", CONTENDERS)
def test_a_photograph_into_frames_and_out_again(
    bench: Session, show: Callable[[Race, str], None], contender: str
) -> None:
    show(bench.race("protocol/photograph", lambda: raced(bench)), contender)
