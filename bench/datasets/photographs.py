"""Pictures with the statistics of photographs, made from a seed.

A codec's speed and the size of its file depend on a picture's statistics, not on what it shows.
Three of them matter, and are here: amplitudes that fall as one over the frequency (octaves of
noise, each as strong as the last), sharp edges between flat objects that hide one another (the
'dead leaves' model of natural images), and a sensor's grain. Noise is made small and enlarged,
one octave at a time: 12 megapixels take half a second, where a Fourier transform takes several.
"""

from __future__ import annotations

import cv2
import numpy as np

_FINEST_OCTAVE = 0.55  # a lens passes less of the finest detail than 1/f would
_GRAIN_TILE = 512


def photograph(rng: np.random.Generator, width: int, height: int, grain: float) -> np.ndarray:
    """Return a BGR picture of shape (height, width, 3), uint8.

    `grain` is the standard deviation of the sensor's noise, in levels of 255.
    """
    picture = _dead_leaves(rng, width, height)
    _add_texture(rng, picture)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.6 + 0.3 * rng.random())
    _add_grain(rng, picture, grain)
    return picture


def _dead_leaves(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return flat shapes that hide one another, with as many small ones as 1/radius² asks for."""
    sky = rng.uniform(80, 200, (2, 2, 1)) + rng.normal(0, 12, (2, 2, 3))
    corners = sky.clip(0, 255).astype(np.uint8)
    picture = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    span = min(width, height)
    radii = np.sort(span * 0.5 * (1 - rng.random(160) * 0.97) ** 3)[::-1]
    palette = rng.uniform(30, 200, (7, 1)) + rng.normal(0, 24, (7, 3))
    for radius in radii:
        colour = np.clip(palette[rng.integers(7)] + rng.normal(0, 14, 3), 0, 255)
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (max(1, int(radius)), max(1, int(radius * (0.25 + 0.75 * rng.random()))))
        angle = float(rng.integers(180))
        if rng.random() < 0.5:
            cv2.ellipse(picture, centre, axes, angle, 0, 360, colour.tolist(), -1, cv2.LINE_AA)
        else:
            box = cv2.boxPoints((centre, (2 * axes[0], 2 * axes[1]), angle)).astype(np.int32)
            cv2.fillConvexPoly(picture, box, colour.tolist(), cv2.LINE_AA)
    return picture


def _add_texture(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Add octaves of equal strength, the finest weaker; mostly to luminance, as in nature."""
    height, width = picture.shape[:2]
    luminance = np.full((height, width), 0, np.int16)
    side, strength = 4, 9.0 + 5.0 * rng.random()
    while side <= max(width, height):
        finest = 2 * side > max(width, height)
        deviation = strength * (_FINEST_OCTAVE if finest else 1.0)
        longer = max(width, height)
        shape = (max(2, side * height // longer), max(2, side * width // longer))
        small = (rng.standard_normal(shape, np.float32) * deviation).astype(np.int16)
        noise = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.add(luminance, noise, dst=luminance)
        side *= 2
    tint = rng.uniform(0.85, 1.15, 3)
    for channel in range(3):
        plane = np.ascontiguousarray(picture[:, :, channel])
        picture[:, :, channel] = cv2.addWeighted(
            plane, 1.0, luminance, tint[channel], 0, dtype=cv2.CV_8U
        )


def _add_grain(rng: np.random.Generator, picture: np.ndarray, grain: float) -> None:
    """Add noise to each sample, from one tile laid in a different place at each step."""
    tile = rng.standard_normal((2 * _GRAIN_TILE, 2 * _GRAIN_TILE, 3), np.float32) * grain
    tile = tile.astype(np.int16)
    height, width = picture.shape[:2]
    for top in range(0, height, _GRAIN_TILE):
        for left in range(0, width, _GRAIN_TILE):
            block = picture[top : top + _GRAIN_TILE, left : left + _GRAIN_TILE]
            rows, columns = block.shape[:2]
            y, x = rng.integers(_GRAIN_TILE, size=2)
            cv2.add(block, tile[y : y + rows, x : x + columns], dst=block, dtype=cv2.CV_8U)
