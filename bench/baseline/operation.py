"""The adjustment as anyone would write it with OpenCV, with the coefficients that imgbatch uses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FACTORS = {"brightness": 10, "contrast": 20, "sharpness": 40}
QUALITY = 90
"""Of the JPEGs that all contenders write, so that none saves time by writing less."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Slope and offset of the levels, and the weight of a sharpening kernel's neighbours."""

    slope: float
    offset: float
    neighbour: float

    @classmethod
    def of(cls, brightness: int, contrast: int, sharpness: int) -> Coefficients:
        """Return the coefficients of three factors, rounded to 1/256 as imgbatch does."""
        slope = round(256 * (1 + contrast * (0.02 if contrast > 0 else 0.01))) / 256
        return cls(slope, brightness + 128 * (1 - slope), round(256 * sharpness / 100) / 256)

    @property
    def kernel(self) -> np.ndarray:
        """The 3x3 sharpening kernel, float32."""
        k = self.neighbour
        return np.array([[0, -k, 0], [-k, 1 + 4 * k, -k], [0, -k, 0]], np.float32)


TERMS = Coefficients.of(**FACTORS)


def adjusted(image: np.ndarray, coefficients: Coefficients = TERMS) -> np.ndarray:
    levelled = cv2.addWeighted(image, coefficients.slope, image, 0, coefficients.offset)
    return cv2.filter2D(levelled, -1, coefficients.kernel)
