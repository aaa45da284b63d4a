"""What the suites measure does what it says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.baseline import messages, server
from bench.baseline.operation import FACTORS, TERMS, adjusted
from bench.harness.processes import background, measure
from bench.harness.resources import peaks_of
from bench.suites import frames_of, image_of

from imgbatch_kernels import adjust

NOISE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def test_an_image_comes_out_of_its_frames_as_it_went_in() -> None:
    data = NOISE.tobytes() * 300
    frames = list(frames_of(data))
    assert len(frames) > 2
    assert image_of(frames) == data


def test_the_papers_operation_is_ours() -> None:
    assert np.array_equal(adjusted(NOISE, TERMS), adjust(NOISE, **FACTORS))


def test_the_papers_server_returns_the_adjusted_matrix_to_its_client() -> None:
    fields = {"client": "me", "name": "a.jpg", "factors": list(FACTORS.values())}
    client, body = server.processed(messages.packed(fields, NOISE), "machine")
    told, image = messages.unpacked(body)
    assert (client, told) == ("me", {"name": "a.jpg", "machine": "machine"})
    assert np.array_equal(image, adjusted(NOISE))


@pytest.mark.parametrize("peer", ["opencv", "pillow", "codec"])
def test_a_pool_writes_every_image(peer: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / "in" / name), NOISE)
    command = [sys.executable, "-m", "bench.peers.pools", peer, tmp_path / "in", tmp_path / "out"]
    assert measure([str(word) for word in command], tmp_path / "out", 2).seconds > 0


def test_a_run_that_wrote_too_few_images_does_not_count(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('nothing to do')"]
    with pytest.raises(RuntimeError, match=r"nothing to do\nexit code 0, 0 of 3 images written"):
        measure(command, tmp_path / "out", 3)


def test_a_server_that_ends_before_it_is_ready_says_what_it_printed() -> None:
    command = [sys.executable, "-c", "print('no broker')"]
    with pytest.raises(RuntimeError, match="no broker"), background(command, "ready"):
        pass


def test_the_memory_of_a_command_and_of_its_children_is_told_apart(tmp_path: Path) -> None:
    child = "import time; held = bytearray(60_000_000); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    parent_bytes, child_bytes = peaks_of([sys.executable, "-c", parent], tmp_path / "out")
    assert child_bytes > 60_000_000 > parent_bytes > 1_000_000


@pytest.mark.parametrize(
    "module", ["compare", "run", "test_codecs", "test_kernels", "peers.bare_pika", "peers.magick"]
)
def test_what_a_benchmark_imports_from_imgbatch_is_there(module: str) -> None:
    importlib.import_module(f"bench.{module}")
