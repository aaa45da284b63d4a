"""TIFF: one picture of 8 or 16 bits, with every field of its directory that stays true."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from imgbatch.images import tiff_tags as tags
from imgbatch.images.failures import (
    beyond_repair,
    several_pictures,
    unsupported,
    unsupported_format,
)
from imgbatch.images.failures import damaged as damaged_image
from imgbatch.images.metadata import ORIENTATION_TAG
from imgbatch.images.notes import Note
from imgbatch.images.picture import (
    Density,
    Encoded,
    FileFormat,
    Picture,
    Pixels,
    Portable,
    Shape,
    Source,
)
from imgbatch.images.quiet import quiet_stderr
from imgbatch.images.tiff_directory import (
    Directory,
    Entry,
    first_directory,
    header,
    longs,
    read_directory,
    serialise,
    shorts,
    with_short,
)
from imgbatch.recipe import DamagedPolicy, Encoding, PngLevel

if TYPE_CHECKING:
    from imgbatch.images.buffers import Buffers
    from imgbatch.images.limits import Limits

_STRIP_BYTES = 2**18
_MOST_PREVIEWS = 32


@dataclass(frozen=True, slots=True)
class TiffSource:
    """A TIFF file whose structure has been checked."""

    data: memoryview
    directory: Directory
    has_previews: bool
    file_format: ClassVar[FileFormat] = FileFormat.TIFF

    @property
    def photometric(self) -> int:
        """What the samples mean."""
        return self.directory.number(tags.PHOTOMETRIC, -1)

    @property
    def shape(self) -> Shape:
        """Palettes and ink are delivered as RGB, two levels as grey of 8 bits."""
        directory = self.directory
        colours = 1 if self.photometric in (tags.WHITE_IS_ZERO, tags.BLACK_IS_ZERO) else 3
        has_alpha = next(iter(directory.numbers(tags.EXTRA_SAMPLES)), 0) in (1, 2)
        return Shape(
            directory.number(tags.WIDTH),
            directory.number(tags.HEIGHT),
            colours + has_alpha,
            16 if directory.number(tags.BITS, 1) == 16 else 8,
        )

    def portable(self) -> Portable:
        """Return EXIF, XMP, ICC and resolution from the directory."""
        directory = self.directory
        kept = {
            tag: entry
            for tag, entry in directory.entries.items()
            if tag not in tags.STRUCTURE and tag not in tags.OWN_PLACE
        }
        exif = None
        if kept:
            exif = header(directory.order, 8) + serialise(Directory(directory.order, kept), 8)
        is_ink = self.photometric == tags.INK
        return Portable(
            exif=exif,
            xmp=directory.data(tags.XMP),
            icc=None if is_ink else directory.data(tags.ICC),
            density=_density(directory),
            has_more=tags.IPTC in directory.entries or tags.PHOTOSHOP in directory.entries,
        )

    def decode(self, buffers: Buffers, damaged: DamagedPolicy) -> Picture:  # noqa: ARG002
        """Decode to 8 or 16 bits, with as many channels as `shape` says."""
        is_strict = damaged is DamagedPolicy.STRICT
        pixels = self._decode_deep() if self.shape.bits_per_sample == 16 else None
        if pixels is None:
            pixels = self._decode_pillow(is_strict=is_strict)
        if pixels.shape != self.shape.array_shape:
            raise damaged_image("the TIFF's pixels are not as its directory says")
        facts = {
            Note.EMBEDDED_PICTURES_DROPPED: self.has_previews,
            Note.PALETTE_EXPANDED: self.photometric == tags.PALETTE,
            Note.DEPTH_EXPANDED: self.directory.number(tags.BITS, 1) < 8,
            Note.CMYK_CONVERTED: self.photometric == tags.INK,
        }
        return Picture(pixels, tuple(note for note, holds in facts.items() if holds))

    def _decode_deep(self) -> Pixels:
        """Decode 16 bits, which Pillow would make 8; as they are stored, not turned upright."""
        import cv2

        is_upright = self.directory.number(ORIENTATION_TAG, 1) == 1
        data = self.data if is_upright else with_short(self.data, ORIENTATION_TAG, 1)
        with quiet_stderr():
            try:
                pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            except cv2.error:
                pixels = None
        if pixels is None:
            raise damaged_image("the TIFF can't be decoded")
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if pixels.shape[2] == 3:
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # type: ignore[no-any-return]
        if pixels.shape[2] == 4:
            return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)  # type: ignore[no-any-return]
        return pixels  # type: ignore[no-any-return]

    def _decode_pillow(self, *, is_strict: bool) -> Pixels:
        from imgbatch.images.cmyk import cmyk_to_srgb
        from imgbatch.images.pillow import as_array, opened

        modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
        with quiet_stderr(), opened(self.data, "TIFF", is_strict=is_strict) as image:
            # Pillow turns pixels by the orientation of a TIFF as it loads them, and of no other
            # format; a tag that says upright makes it leave them.
            image.getexif()[ORIENTATION_TAG] = 1
            image.load()
            if image.mode == "CMYK":
                return cmyk_to_srgb(image, self.directory.data(tags.ICC))
            return as_array(image.convert(modes[self.shape.channels]))


def _density(directory: Directory) -> Density | None:
    values = [directory.data(tag) for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION)]
    unit = {2: "inch", 3: "centimetre"}.get(directory.number(tags.RESOLUTION_UNIT, 2))
    if unit is None or any(value is None or len(value) != 8 for value in values):
        return None
    pairs = [struct.unpack(f"{directory.order}II", value) for value in values if value is not None]
    if any(not above or not below for above, below in pairs):
        return None
    x, y = (above / below for above, below in pairs)
    return Density(x, y, unit)


def read_tiff(data: memoryview, limits: Limits) -> TiffSource:
    """Check a TIFF's structure and size.

    Raises
    ------
    DamagedImage
        If a directory is not complete.
    RefusedImage
        If it has several pages, or samples of an unusual kind.
    SkippedFile
        If it is a camera's raw file, whose TIFF structure holds only a preview.
    LimitExceeded
        If it has more pixels than allowed.
    """
    directory = first_directory(data)
    if directory.entries.keys() & tags.RAW_MARKS or directory.number(tags.SUBFILE_KIND) & 1:
        raise unsupported_format("a camera's raw file")
    width, height = directory.number(tags.WIDTH), directory.number(tags.HEIGHT)
    if not width or not height:
        raise beyond_repair("the TIFF's directory has no size")
    limits.check_pixels(width, height)
    _check_samples(directory)
    _check_tiles(directory, width, height)
    has_previews = _check_following(data, directory)
    return TiffSource(data, directory, has_previews)


def _check_samples(directory: Directory) -> None:
    bits = directory.numbers(tags.BITS) or (1,)
    photometric = directory.number(tags.PHOTOMETRIC, -1)
    extra = directory.numbers(tags.EXTRA_SAMPLES)
    colours = tags.COLOURS.get(photometric)
    if colours is None:
        raise unsupported(f"the TIFF's colours are of an unusual kind ({photometric})")
    samples = directory.number(tags.SAMPLES, 1)
    is_deep = bits[0] == 16
    if set(bits) not in ({1}, {2}, {4}, {8}, {16}) or not colours <= samples <= colours + 1:
        raise unsupported(f"the TIFF has {samples} samples of {bits} bits; 8 or 16 are supported")
    if any(kind != 1 for kind in directory.numbers(tags.SAMPLE_FORMAT)):
        raise unsupported("the TIFF's samples are signed or floating-point; convert it first")
    if samples - colours != len(extra):
        raise unsupported("the TIFF does not say what its additional samples are")
    if is_deep and (photometric not in (tags.BLACK_IS_ZERO, tags.RGB) or extra not in ((), (2,))):
        raise unsupported("the TIFF has 16 bits and is not plain grey or RGB; convert it first")
    if photometric in (tags.INK, tags.LUMA_CHROMA) and extra:
        raise unsupported("the TIFF has ink or luma and chroma with additional samples")


def _check_tiles(directory: Directory, width: int, height: int) -> None:
    """Refuse tiles far larger than the picture: a decoder allocates whole ones."""
    across, down = directory.number(tags.TILE_WIDTH), directory.number(tags.TILE_HEIGHT)
    if across * down > 4 * width * height + 2**20:
        raise beyond_repair(f"the TIFF has tiles of {across} x {down} pixels")


def _check_following(data: memoryview, directory: Directory) -> bool:
    """Refuse further pages; return whether there are previews."""
    has_previews = bool(directory.entries.keys() & tags.EMBEDDED_PICTURES)
    seen: set[int] = set()
    while directory.following and directory.following not in seen:
        if len(seen) == _MOST_PREVIEWS:
            raise several_pictures(f"the TIFF has more than {_MOST_PREVIEWS} previews")
        seen.add(directory.following)
        directory = read_directory(data, directory.order, directory.following)
        if not directory.number(tags.SUBFILE_KIND) & 1:
            raise several_pictures("the TIFF has several pages")
        has_previews = True
    return has_previews


def write_tiff(pixels: Pixels, source: Source, encoding: Encoding, buffers: Buffers) -> Encoded:  # noqa: ARG001
    """Encode 8- or 16-bit pixels in strips: as they are if the source's were, else deflated."""
    assert isinstance(source, TiffSource)  # there is no --format tiff
    order = source.directory.order
    compression = source.directory.number(tags.COMPRESSION, 1)
    is_plain = compression == tags.UNCOMPRESSED
    notes = [] if compression in tags.KEPT_COMPRESSIONS else [Note.COMPRESSION_CHANGED]
    kept, dropped = _kept_entries(source, strip=encoding.strip_metadata)
    notes += [Note.METADATA_DROPPED] if dropped else []
    rows_per_strip = max(1, _STRIP_BYTES // (pixels[0].nbytes))
    strips = [
        _encode_strip(pixels[start : start + rows_per_strip], order, is_plain, encoding.png_level)
        for start in range(0, pixels.shape[0], rows_per_strip)
    ]
    sizes = [len(strip) for strip in strips]
    offsets = np.cumsum([8, *sizes])
    end = int(offsets[-1])
    entries = (
        kept
        | _structure(pixels, order, is_plain=is_plain)
        | {
            tags.ROWS_PER_STRIP: longs(order, rows_per_strip),
            tags.STRIP_OFFSETS: longs(order, *offsets[:-1].tolist()),
            tags.STRIP_SIZES: longs(order, *sizes),
        }
    )
    parts = [header(order, end + end % 2), *strips, b"\0" * (end % 2)]
    directory = serialise(Directory(order, entries), end + end % 2)
    return Encoded([*parts, directory], tuple(notes))


def _kept_entries(source: TiffSource, *, strip: bool) -> tuple[dict[int, Entry], bool]:
    """Return the fields that stay, and whether one of a kind that can't be moved was dropped."""
    entries = source.directory.entries
    if strip:
        wanted = {tags.ICC, ORIENTATION_TAG}
        kept = {tag: entry for tag, entry in entries.items() if tag in wanted}
    else:
        kept = {tag: entry for tag, entry in entries.items() if tag not in tags.STRUCTURE}
    if source.photometric == tags.INK:
        kept.pop(tags.ICC, None)
    movable = {t: e for t, e in kept.items() if e.kind != 13 or e.directory is not None}
    return movable, len(movable) < len(kept)


def _structure(pixels: Pixels, order: str, *, is_plain: bool) -> dict[int, Entry]:
    height, width, channels = pixels.shape
    entries = {
        tags.WIDTH: longs(order, width),
        tags.HEIGHT: longs(order, height),
        tags.BITS: shorts(order, *(8 * pixels.itemsize,) * channels),
        tags.COMPRESSION: shorts(order, tags.UNCOMPRESSED if is_plain else tags.DEFLATED),
        tags.PHOTOMETRIC: shorts(order, tags.RGB if channels > 2 else tags.BLACK_IS_ZERO),
        tags.SAMPLES: shorts(order, channels),
        tags.PLANAR: shorts(order, 1),
    }
    if not is_plain:
        entries[tags.PREDICTOR] = shorts(order, 2)
    if channels in (2, 4):
        entries[tags.EXTRA_SAMPLES] = shorts(order, 2)
    return entries


def _encode_strip(rows: Pixels, order: str, is_plain: bool, level: PngLevel) -> bytes:
    if not is_plain:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        rows = differences
    samples = rows.astype(np.dtype(f"{order}u{rows.itemsize}"), copy=False).tobytes()
    if is_plain:
        return samples
    from imgbatch.images.png_encode import deflate_bytes

    return deflate_bytes(samples, level)
