"""JPEG out of pixels: in the style of the source, by the fastest encoder that can write it."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from imgbatch.images.buffers import Buffers
from imgbatch.images.convert import without_alpha_in_8_bits
from imgbatch.images.failures import unsupported
from imgbatch.images.jpeg import container, metadata
from imgbatch.images.jpeg.container import JpegStructure, QuantisationTable
from imgbatch.images.jpeg.decode import JpegSource
from imgbatch.images.notes import Note
from imgbatch.images.picture import Encoded, Pixels, Source
from imgbatch.images.profiles import profile_of
from imgbatch.recipe import Encoding, Progressive

DEFAULT_QUALITY = 92
"""For pictures that come from a format without a quality; with full chroma, so that edges
of drawings and screenshots keep their colour."""

LARGEST_SIDE_PIXELS = 65500
"""libjpeg's own bound; the format's is 65535."""

_PILLOW_SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2, "gray": 0}


@dataclass(frozen=True, slots=True)
class JpegStyle:
    """How a JPEG is encoded.

    Parameters
    ----------
    tables
        The divisors of each component, or of luma and chroma.
    subsampling
        ``"444"``, ``"422"``, ``"420"``, ``"440"``, ``"411"`` or ``"gray"``.
    progressive
        Whether it is written in several scans.
    optimised
        Whether Huffman tables are made for the picture: 3 to 17 % smaller on photographs, and
        half as fast. Sources whose own tables are not the usual ones had them made.
    is_rgb
        Whether the components are red, green and blue themselves.
    """

    tables: tuple[QuantisationTable, ...]
    subsampling: str
    progressive: bool = False
    optimised: bool = False
    is_rgb: bool = False


def default_style(channels: int, encoding: Encoding, source: Source | None = None) -> JpegStyle:
    """Return the style for a picture that was no JPEG: of a phone's, one that looks alike."""
    quality, subsampling = getattr(source, "like_jpeg", (DEFAULT_QUALITY, "444"))
    return JpegStyle(
        tables=standard_tables(encoding.quality or quality),
        subsampling="gray" if channels == 1 else subsampling,
        progressive=encoding.progressive is Progressive.YES,
    )


def style_of(
    structure: JpegStructure, encoding: Encoding, *, is_rgb: bool
) -> tuple[JpegStyle, list[Note]]:
    """Return the style of a source, with what the encoding asks to be otherwise."""
    frame = structure.frame
    notes: list[Note] = []
    subsampling = container.subsampling_of(frame.components)
    if subsampling is None:
        subsampling = "444"
        notes.append(Note.SUBSAMPLING_CHANGED)
    is_arithmetic = frame.marker in container.ARITHMETIC_FRAMES
    if is_arithmetic:
        notes.append(Note.ARITHMETIC_CODING_DROPPED)
    progressive = frame.marker in container.PROGRESSIVE_FRAMES
    if encoding.progressive is not Progressive.KEEP:
        progressive = encoding.progressive is Progressive.YES
    optimised = is_arithmetic or not has_standard_huffman(structure)
    divisors = _divisors(structure, encoding)
    return JpegStyle(divisors, subsampling, progressive, optimised, is_rgb), notes


def _divisors(structure: JpegStructure, encoding: Encoding) -> tuple[QuantisationTable, ...]:
    components, stored = structure.frame.components, structure.quantisation
    if encoding.quality is not None or any(c.table not in stored for c in components):
        return standard_tables(encoding.quality or DEFAULT_QUALITY)
    divisors = tuple(stored[component.table] for component in components)
    return divisors if len(divisors) < 4 else divisors[:2]


def write(
    pixels: Pixels,
    source: Source,
    encoding: Encoding,
    buffers: Buffers,  # noqa: ARG001
) -> Encoded:
    """Encode pixels in the style and with the metadata of their source.

    Transparent pixels are laid over white, and 16 bits rounded to 8.

    Raises
    ------
    RefusedImage
        If a side is longer than a JPEG can have.
    """
    if isinstance(source, JpegSource):
        style, notes = style_of(source.structure, encoding, is_rgb=source.is_rgb)
    else:
        pixels, notes = without_alpha_in_8_bits(pixels)
        style = default_style(pixels.shape[2], encoding, source)
    encoded, encoding_notes = encode_style(pixels, style)
    own_segments, body = metadata.split_encoded(encoded)
    if isinstance(source, JpegSource) and not encoding.strip_metadata:
        segments, segment_notes = metadata.kept_segments(
            source.structure, converted_from_cmyk=source.is_cmyk
        )
    else:
        beside = source.metadata()
        head: bytes | memoryview = metadata.jfif_segment(beside.resolution)
        if encoding.strip_metadata:
            beside, head = beside.stripped(), own_segments
        if beside.icc is None and beside.code_points is not None:
            beside = replace(beside, icc=profile_of(beside.code_points))
        segments, segment_notes = metadata.carried_segments(beside)
        segments.insert(0, head)
    parts = [b"\xff\xd8", *segments, body]
    return Encoded(parts, (*notes, *encoding_notes, *segment_notes))


def encode_style(pixels: Pixels, style: JpegStyle) -> tuple[bytes, list[Note]]:
    """Encode 8-bit grey or RGB pixels.

    Returns
    -------
    tuple
        A JPEG file with the encoder's own APPn segments, and what of the style it lacks.

    Raises
    ------
    RefusedImage
        If a side is longer than a JPEG can have.
    """
    if max(pixels.shape[:2]) > LARGEST_SIDE_PIXELS:
        raise unsupported(
            f"the image has {pixels.shape[1]} x {pixels.shape[0]} pixels, and a JPEG at most "
            f"{LARGEST_SIDE_PIXELS} along a side; write it as PNG"
        )
    quality = standard_quality(style.tables)
    if quality is not None and not (style.progressive or style.optimised or style.is_rgb):
        return _encode_turbo(pixels, style, quality), []
    if style.subsampling in _PILLOW_SUBSAMPLINGS:
        return _encode_pillow(pixels, style), []
    return _encode_opencv(pixels, style), [Note.QUALITY_ESTIMATED] if quality is None else []


def _encode_turbo(pixels: Pixels, style: JpegStyle, quality: int) -> bytes:
    import simplejpeg

    colours = ("GRAY", "Gray") if style.subsampling == "gray" else ("RGB", style.subsampling)
    return simplejpeg.encode_jpeg(pixels, quality, *colours)  # type: ignore[no-any-return]


class _Room(bytes):
    """No bytes to write, for which Pillow makes its buffer as long as they claim to be."""

    claimed_bytes = 0

    def __len__(self) -> int:
        return self.claimed_bytes


def _encode_pillow(pixels: Pixels, style: JpegStyle) -> bytes:
    """Encode with any tables, in scans, or with Huffman tables made for the picture."""
    from PIL import Image
    from PIL.JpegImagePlugin import zigzag_index

    height, width, channels = pixels.shape
    mode = "L" if channels == 1 else "RGB"
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    luma, *chroma = style.tables
    distinct = [luma, *dict.fromkeys(chroma)] if channels > 1 else [luma]
    # With scans or made tables the encoder needs the whole file in one buffer, and Pillow takes
    # 2 bytes a pixel for enough; noise at quality 100 needs more. What stays unused costs nothing.
    room = _Room()
    room.claimed_bytes = 8 * width * height + 2**16
    output = io.BytesIO()
    try:
        image.save(
            output,
            "JPEG",
            qtables=[[table[index] for index in zigzag_index] for table in distinct],
            subsampling=_PILLOW_SUBSAMPLINGS[style.subsampling],
            progressive=style.progressive,
            optimize=style.optimised,
            keep_rgb=style.is_rgb,
            extra=room,
        )
    except OSError as error:
        raise MemoryError from error  # libjpeg's own; Pillow tells no more than that it failed
    return output.getvalue()


def _encode_opencv(pixels: Pixels, style: JpegStyle) -> bytes:
    """Encode samplings that Pillow can't write, with the nearest quality's tables."""
    import cv2

    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{style.subsampling}")
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, nearest_quality(style.tables)),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, int(style.progressive)),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, int(style.optimised)),
    ]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), options)
    return encoded.tobytes()


# --- The tables that stand for a quality ----------------------------------------------------------
#
# They are what the encoder itself writes for it: nearly all encoders scale the example tables of
# ITU-T T.81, annex K, by a quality from 1 to 100 as the library of the Independent JPEG Group does.


@cache
def _written_at(quality: int) -> JpegStructure:
    import simplejpeg

    file: bytes = simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8), quality, "RGB")
    return container.parse_jpeg(memoryview(file))


def standard_tables(quality: int) -> tuple[QuantisationTable, QuantisationTable]:
    """Return the luma and chroma tables that a quality of 1..100 stands for."""
    tables = _written_at(quality).quantisation
    return tables[0], tables[1]


def has_standard_huffman(structure: JpegStructure) -> bool:
    """Whether only annex K's tables were used; an encoder that optimises them has others."""
    return structure.huffman <= _written_at(100).huffman


def standard_quality(tables: tuple[QuantisationTable, ...]) -> int | None:
    """Return the quality whose tables are exactly these: luma, then chroma if any.

    None if no quality has them, or luma and chroma have different ones.
    """
    for quality in range(100, 0, -1):
        luma, chroma = standard_tables(quality)
        if tables[0] == luma and all(table == chroma for table in tables[1:]):
            return quality
    return None


def nearest_quality(tables: tuple[QuantisationTable, ...]) -> int:
    """Return the quality whose tables are nearest, by the mean ratio of their divisors."""
    stored = np.log(np.maximum(np.array(tables[:2], np.float64), 1))

    def distance(quality: int) -> float:
        standard = np.log(np.array(standard_tables(quality)[: len(stored)], np.float64))
        return float(abs((stored - standard).mean()))

    return min(range(1, 101), key=distance)
