"""How the samples of a TIFF lie in its file, checked before a decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgbatch.images.failures import beyond_repair, truncated, unsupported
from imgbatch.images.tiff import tags
from imgbatch.images.tiff.container import Directory, Entry, longs, shorts

_LARGEST_TILE_PIXELS = 2**26
_UNASSOCIATED_ALPHA = 2
_LARGEST_OFFSET = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The size, the samples and the strips or tiles of a TIFF's picture.

    Parameters
    ----------
    width_pixels, height_pixels
        Of the stored pixels.
    bits, samples
        Of a sample, and how many a pixel has.
    photometric, compression, predictor
        As TIFF 6.0 numbers them.
    extra
        What samples beside the colours are, as TIFF 6.0 numbers it.
    is_planar
        Whether each channel is stored for itself.
    is_tiled, block_pixels
        Whether it is stored in tiles or in strips, and their width and height.
    blocks
        Start and size, in bytes, of each strip or tile; of one channel after the other if planar.
    """

    width_pixels: int
    height_pixels: int
    bits: int
    samples: int
    photometric: int
    compression: int
    predictor: int = 1
    extra: tuple[int, ...] = ()
    is_planar: bool = False
    is_tiled: bool = False
    block_pixels: tuple[int, int] = (0, 0)
    blocks: tuple[tuple[int, int], ...] = ()

    @property
    def has_alpha(self) -> bool:
        """Whether one of the samples is transparency."""
        return self.extra in ((1,), (2,))

    @property
    def end(self) -> int:
        """Where the last strip or tile ends in the file."""
        return max(start + size for start, size in self.blocks)

    def fields(self, order: str) -> dict[int, Entry]:
        """Return the fields of a directory that describe it."""
        across, down = self.block_pixels
        starts, sizes = zip(*self.blocks, strict=True)
        starts_tag, sizes_tag = tags.TILE_BLOCKS if self.is_tiled else tags.STRIP_BLOCKS
        fields = {
            tags.WIDTH: longs(order, self.width_pixels),
            tags.HEIGHT: longs(order, self.height_pixels),
            tags.BITS: shorts(order, *(self.bits,) * self.samples),
            tags.COMPRESSION: shorts(order, self.compression),
            tags.PHOTOMETRIC: shorts(order, self.photometric),
            tags.SAMPLES: shorts(order, self.samples),
            tags.PLANAR: shorts(order, 1),
            starts_tag: longs(order, *starts),
            sizes_tag: longs(order, *sizes),
        }
        if self.is_tiled:
            fields |= {tags.TILE_WIDTH: longs(order, across), tags.TILE_HEIGHT: longs(order, down)}
        else:
            fields[tags.ROWS_PER_STRIP] = longs(order, down)
        if self.predictor != 1:
            fields[tags.PREDICTOR] = shorts(order, self.predictor)
        if self.extra:
            fields[tags.EXTRA_SAMPLES] = shorts(order, *self.extra)
        return fields


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
    layout = Layout(
        width,
        height,
        bits,
        samples,
        directory.number(tags.PHOTOMETRIC, -1),
        directory.number(tags.COMPRESSION, tags.UNCOMPRESSED),
        directory.number(tags.PREDICTOR, 1),
        directory.numbers(tags.EXTRA_SAMPLES),
        is_planar=samples > 1 and directory.number(tags.PLANAR, 1) == 2,
    )
    _check_kind(layout)
    return _with_blocks(layout, directory)


def _samples(directory: Directory) -> tuple[int, int]:
    """Return how many bits a sample has, and how many samples a pixel."""
    bits = directory.numbers(tags.BITS) or (1,)
    photometric = directory.number(tags.PHOTOMETRIC, -1)
    colours = tags.COLOURS.get(photometric)
    if colours is None:
        raise unsupported(f"the TIFF's colours are of an unusual kind ({photometric})")
    if any(kind != 1 for kind in directory.numbers(tags.SAMPLE_FORMAT)):
        raise unsupported(
            "the TIFF's samples are signed or floating-point; convert them to unsigned ones of "
            "8 or 16 bits first"
        )
    samples = directory.number(tags.SAMPLES, 1)
    if set(bits) not in ({1}, {2}, {4}, {8}, {16}) or not colours <= samples <= colours + 1:
        raise unsupported(f"the TIFF has {samples} samples of {bits} bits; 8 or 16 are supported")
    if samples - colours != len(directory.numbers(tags.EXTRA_SAMPLES)):
        raise unsupported("the TIFF does not say what its additional samples are")
    return bits[0], samples


def _check_kind(layout: Layout) -> None:
    """Refuse combinations that the decoders read wrong, or differently from each other."""
    is_plain = layout.photometric in (tags.BLACK_IS_ZERO, tags.RGB) and (
        layout.extra in ((), (_UNASSOCIATED_ALPHA,))
    )
    if layout.is_planar and not is_plain:
        raise unsupported("the TIFF is stored in planes and is not plain grey or RGB")
    if layout.bits == 16 and not (is_plain and (layout.samples != 2 or layout.is_planar)):
        raise unsupported("the TIFF has 16 bits and is not plain grey or RGB; convert it first")
    if layout.photometric in (tags.INK, tags.LUMA_CHROMA) and layout.extra:
        raise unsupported("the TIFF has ink or luma and chroma with additional samples")
    if layout.predictor != 1 and layout.compression not in tags.PREDICTED_COMPRESSIONS:
        raise unsupported("the TIFF has a predictor, which its compression does not know")


def _with_blocks(layout: Layout, directory: Directory) -> Layout:
    """Return a layout with its strips or tiles, as many as the size demands."""
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
    starts, sizes = (
        directory.numbers(tag)[:count]
        for tag in (tags.TILE_BLOCKS if is_tiled else tags.STRIP_BLOCKS)
    )
    # What is needed, not what is claimed: not all decoders look at the claim.
    is_size_known = layout.compression == tags.UNCOMPRESSED and (
        layout.photometric != tags.LUMA_CHROMA
    )
    if len(starts) < count or (len(sizes) < count and not is_size_known):
        raise beyond_repair("the TIFF has fewer strips or tiles than its size demands")
    if is_size_known:
        row_bytes = -(-across * (1 if layout.is_planar else layout.samples) * layout.bits // 8)
        tops = [top for top in range(0, height, down) for _ in range(0, width, across)]
        rows = [down if is_tiled else min(down, height - top) for top in tops]
        sizes = tuple(row_bytes * rows[number % len(rows)] for number in range(count))
    if max(starts) + max(sizes) > _LARGEST_OFFSET:
        raise truncated("the TIFF's strips or tiles lie behind 4 GiB")
    blocks = tuple(zip(starts, sizes, strict=True))
    return replace(layout, is_tiled=is_tiled, block_pixels=(across, down), blocks=blocks)
