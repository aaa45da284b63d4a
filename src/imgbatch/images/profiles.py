"""Colour profiles for pictures that say their colours by numbers, as HEIF, AVIF and PNG can."""

from __future__ import annotations

import struct

import numpy as np

from imgbatch.images.failures import unsupported

CodePoints = tuple[int, int]
"""Primaries and transfer, as ITU-T H.273 numbers them."""

_CHROMATICITIES = {
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Of red, green and blue: BT.2020 and Display P3; all others that occur pass for sRGB."""

_WHITE_D65 = (0.3127, 0.3290)
_WHITE_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def is_usual(code_points: CodePoints) -> bool:
    """Whether viewers show the same colours where nothing is said of them."""
    primaries, transfer = code_points
    is_known = all(number in range(256) for number in code_points)
    return not is_known or (primaries not in _CHROMATICITIES and transfer not in _HDR_TRANSFERS)


def profile_of(code_points: CodePoints) -> bytes:
    """Return an ICC profile (ICC.1:2022, three components by a matrix) of these colours.

    Raises
    ------
    RefusedImage
        If they are brighter than white.
    """
    primaries, transfer = code_points
    if transfer in _HDR_TRANSFERS:
        raise unsupported(
            f"the picture is HDR ({_HDR_TRANSFERS[transfer]}), which a JPEG can't say; "
            "use --format png"
        )
    return _profile(_columns(_CHROMATICITIES[primaries]))


def _columns(chromaticities: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Return the colours of red, green and blue light as XYZ under D50, one a row."""
    primaries, white = (
        np.array([(x / y, 1, (1 - x - y) / y) for x, y in points])
        for points in (chromaticities, (_WHITE_D65,))
    )
    lights = primaries * np.linalg.solve(primaries.T, white[0])[:, None]
    scale = (_BRADFORD @ _WHITE_D50) / (_BRADFORD @ white[0])
    adapt = np.linalg.solve(_BRADFORD, scale[:, None] * _BRADFORD)
    return lights @ adapt.T


def _profile(lights: np.ndarray) -> bytes:
    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    def text(words: str) -> bytes:
        body = words.encode("utf-16-be")
        return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(body), 28) + body

    curve = struct.pack(">4s4xHxx", b"para", 3) + fixed(*_SRGB_CURVE)
    tags = {
        b"desc": text("RGB by code points"),
        b"cprt": text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(*_WHITE_D50),
        **{
            name: b"XYZ \0\0\0\0" + fixed(*light)
            for name, light in zip((b"rXYZ", b"gXYZ", b"bXYZ"), lights, strict=True)
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    position = 128 + 4 + 12 * len(tags)
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += struct.pack(">4sII", name, position + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s28x12s48x",
        *(position + len(bodies), 0x04400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"),
        fixed(*_WHITE_D50),
    )
    return head + table + bodies
