"""How the samples of a TIFF lie in its file, checked before a decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgbatch.images.failures import beyond_repair, unsupported
from imgbatch.images.tiff import tags

if TYPE_CHECKING:
    from imgbatch.images.tiff.container import Directory

_LARGEST_TILE_PIXELS = 2**26
_UNASSOCIATED_ALPHA = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The size, the samples and the strips or tiles of a TIFF's picture.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the stored pixels.
    bits, samples
        Of a sample, and how many a pixel has.
    photometric, compression
        As TIFF 6.0 numbers them.
    alpha
        The kind of the alpha channel; 0 if there is none.
    is_planar
        Whether each channel is stored for itself.
    blocks
        Start and size, in bytes, of each strip or tile; of one channel after the other if planar.
    """

    width_pixels: int
    height_pixels: int
    bits: int
    samples: int
    photometric: int
    compression: int
    alpha: int
    is_planar: bool
    blocks: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """Where the last strip or tile ends in the file."""
        return max(start + size for start, size in self.blocks)


def layout_of(directory: Directory) -> Layout:
    """Return a checked layout.

    Raises
    ------
    DamagedImage
        If the directory has no size, or fewer strips or tiles than rows.
    RefusedImage
        If the samples are of an unusual kind.
    """
    width, height = directory.number(tags.WIDTH), directory.number(tags.HEIGHT)
    if not width or not height:
        raise beyond_repair("the TIFF's directory has no size")
    bits, samples = _samples(directory)
    extra = directory.numbers(tags.EXTRA_SAMPLES)
    layout = Layout(
        width,
        height,
        bits,
        samples,
        directory.number(tags.PHOTOMETRIC, -1),
        directory.number(tags.COMPRESSION, tags.UNCOMPRESSED),
        alpha=extra[0] if extra[:1] in ((1,), (2,)) else 0,
        is_planar=samples > 1 and directory.number(tags.PLANAR, 1) == 2,
        blocks=(),
    )
    _check_kind(layout, directory)
    return replace(layout, blocks=_blocks(layout, directory))


def _samples(directory: Directory) -> tuple[int, int]:
    """Return how many bits a sample has, and how many samples a pixel."""
    bits = directory.numbers(tags.BITS) or (1,)
    photometric = directory.number(tags.PHOTOMETRIC, -1)
    colours = tags.COLOURS.get(photometric)
    if colours is None:
        raise unsupported(f"the TIFF's colours are of an unusual kind ({photometric})")
    samples = directory.number(tags.SAMPLES, 1)
    if set(bits) not in ({1}, {2}, {4}, {8}, {16}) or not colours <= samples <= colours + 1:
        raise unsupported(f"the TIFF has {samples} samples of {bits} bits; 8 or 16 are supported")
    if any(kind != 1 for kind in directory.numbers(tags.SAMPLE_FORMAT)):
        raise unsupported("the TIFF's samples are signed or floating-point; convert it first")
    if samples - colours != len(directory.numbers(tags.EXTRA_SAMPLES)):
        raise unsupported("the TIFF does not say what its additional samples are")
    return bits[0], samples


def _check_kind(layout: Layout, directory: Directory) -> None:
    """Refuse combinations that the decoders read wrong, or differently from each other."""
    has_extra = bool(directory.numbers(tags.EXTRA_SAMPLES))
    is_plain = layout.photometric in (tags.BLACK_IS_ZERO, tags.RGB) and (
        not has_extra or layout.alpha == _UNASSOCIATED_ALPHA
    )
    if layout.is_planar and not is_plain:
        raise unsupported("the TIFF is stored in planes and is not plain grey or RGB")
    if layout.bits == 16 and not (is_plain and (layout.samples != 2 or layout.is_planar)):
        raise unsupported("the TIFF has 16 bits and is not plain grey or RGB; convert it first")
    if layout.photometric in (tags.INK, tags.LUMA_CHROMA) and has_extra:
        raise unsupported("the TIFF has ink or luma and chroma with additional samples")
    predictor = directory.number(tags.PREDICTOR, 1)
    if predictor != 1 and layout.compression not in tags.PREDICTED_COMPRESSIONS:
        raise unsupported("the TIFF has a predictor, which its compression does not know")


def _blocks(layout: Layout, directory: Directory) -> tuple[tuple[int, int], ...]:
    """Return the strips or tiles, as many as the size demands."""
    width, height = layout.width_pixels, layout.height_pixels
    across, down = directory.number(tags.TILE_WIDTH), directory.number(tags.TILE_HEIGHT)
    is_tiled = bool(across and down)
    if is_tiled == (tags.STRIP_OFFSETS in directory.entries):
        raise beyond_repair("the TIFF has both strips and tiles, or neither")
    if not is_tiled:
        across, down = width, min(directory.number(tags.ROWS_PER_STRIP, height) or height, height)
    # A decoder allocates whole tiles.
    elif across * down > min(4 * width * height + 2**20, _LARGEST_TILE_PIXELS):
        raise beyond_repair(f"the TIFF has tiles of {across} x {down} pixels")
    count = -(-width // across) * -(-height // down) * (layout.samples if layout.is_planar else 1)
    starts_tag, sizes_tag = tags.TILE_BLOCKS if is_tiled else tags.STRIP_BLOCKS
    starts, sizes = directory.numbers(starts_tag)[:count], directory.numbers(sizes_tag)[:count]
    if len(starts) < count or (len(sizes) < count and layout.compression != tags.UNCOMPRESSED):
        raise beyond_repair("the TIFF has fewer strips or tiles than its size demands")
    if layout.compression == tags.UNCOMPRESSED and layout.photometric != tags.LUMA_CHROMA:
        # What is needed, not what is claimed: not all decoders look at the claim.
        samples = 1 if layout.is_planar else layout.samples
        row_bytes = -(-across * samples * layout.bits // 8)
        tops = [top for top in range(0, height, down) for _ in range(0, width, across)]
        rows = [down if is_tiled else min(down, height - top) for top in tops]
        sizes = tuple(row_bytes * rows[number % len(rows)] for number in range(count))
    return tuple(zip(starts, sizes, strict=True))
