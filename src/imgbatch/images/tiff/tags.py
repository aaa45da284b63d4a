"""The tags of TIFF 6.0 and its successors that matter here, by what becomes of them."""

from __future__ import annotations

SUBFILE_KIND, OLD_SUBFILE_KIND = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_SIZES = 273, 277, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_SIZES = 322, 323, 324, 325
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
STRIP_BLOCKS, TILE_BLOCKS = (STRIP_OFFSETS, STRIP_SIZES), (TILE_OFFSETS, TILE_SIZES)
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INK, LUMA_CHROMA = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, INK: 4, LUMA_CHROMA: 3}
"""Samples of a pixel, alpha aside, for each kind of colour that is read."""

UNCOMPRESSED, OLD_JPEG, DEFLATED = 1, 6, 8
KEPT_COMPRESSIONS = frozenset((UNCOMPRESSED, DEFLATED, 32946))
"""32946 is the older number of the same compression as 8."""

PREDICTED_COMPRESSIONS = frozenset((5, DEFLATED, 32946, 50000, 34925))
"""LZW, Deflate, Zstandard and LZMA: those whose decoders undo a predictor."""

SEVERAL = frozenset((320, 347, *range(519, 522), 529, 530, 532))
"""Palette, tables of JPEG, and what luma and chroma are: of several values."""

PASSED = SEVERAL | {266, 292, 293, *range(512, 519), 531}
"""What a decoder needs to know beside the layout; what else a directory has is kept from it."""

EMBEDDED_PICTURES = frozenset((330, 37724, 513))
"""Further directories, Photoshop's layers, a JPEG thumbnail."""

STRUCTURE = (
    frozenset((254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281))
    | frozenset((284, 288, 289, 290, 291, 292, 293, 317, 320, 321, 322, 323, 324, 325, 327, 328))
    | frozenset((332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 346, 347))
    | frozenset(range(512, 522))
    | frozenset((529, 530, 531, 532))
    | EMBEDDED_PICTURES
)
"""Describe how the old pixels were stored; the output has its own, or none."""

OWN_PLACE = frozenset((XMP, IPTC, PHOTOSHOP, ICC))
"""Have places of their own in other formats, outside EXIF."""

RAW_MARKS = frozenset((33421, 33422, 50706, 50711))
"""The pattern of a sensor's colour filters, and DNG's version."""
