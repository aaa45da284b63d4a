"""The stand-ins have the figures of the sets they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.datasets.build import write_sized_jpeg
from bench.datasets.sizes import CROPS, LARGE_FILE_BYTES, TOKYO, Figures, one_in_ten, targets


@pytest.mark.parametrize("figures", [TOKYO, CROPS], ids=lambda figures: figures.name)
def test_sizes_add_up_to_the_figures_of_the_paper(figures: Figures) -> None:
    sizes = [target.size_bytes for target in targets(figures)]
    assert len(sizes) == figures.count
    assert min(sizes) == pytest.approx(figures.smallest_bytes, rel=0.001)
    assert max(sizes) == pytest.approx(figures.largest_bytes, rel=0.001)
    assert sum(sizes) == pytest.approx(figures.total_bytes, rel=0.001)
    assert sum(size > LARGE_FILE_BYTES for size in sizes) == figures.large_count


@pytest.mark.parametrize("figures", [TOKYO, CROPS], ids=lambda figures: figures.name)
def test_a_set_is_the_same_each_time_it_is_made(figures: Figures) -> None:
    assert targets(figures) == targets(figures)


def test_files_that_the_papers_system_takes_fit_into_one_message_of_rabbitmq() -> None:
    taken = [target for target in targets(TOKYO) if target.size_bytes <= LARGE_FILE_BYTES]
    assert max(target.pixels for target in taken) * 3 * 4 / 3 < 128 * 2**20


@pytest.mark.parametrize(("figures", "count"), [(TOKYO, 5), (CROPS, 77)])
def test_a_png_set_has_a_tenth_of_the_pictures(figures: Figures, count: int) -> None:
    assert len(one_in_ten(figures)) == count


@pytest.mark.parametrize("figures", [TOKYO, CROPS], ids=lambda figures: figures.name)
def test_a_file_is_within_two_percent_of_its_size(figures: Figures, tmp_path: Path) -> None:
    small = sorted(targets(figures), key=lambda target: target.size_bytes)[:: figures.count // 3]
    for target in small[:3]:
        write_sized_jpeg(figures, tmp_path, target)
        written = tmp_path / f"{figures.name}-{target.index:04d}.jpg"
        assert written.stat().st_size == pytest.approx(target.size_bytes, rel=0.02)
