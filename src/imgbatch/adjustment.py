"""The three factors of an adjustment, as one validated value."""

from __future__ import annotations

from dataclasses import dataclass

from imgbatch.errors import Code, UsageError
from imgbatch_kernels.coefficients import FACTOR_RANGES


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is done to the pixels of each image.

    Parameters
    ----------
    brightness
        -100..100: levels of 255 that are added to each colour sample.
    contrast
        -100..100: the slope about mid-grey is ``1 + 2c/100`` for c >= 0, ``1 + c/100`` below.
    sharpness
        0..100: weight, in percent, of the four neighbours in a 3x3 sharpening kernel.

    Raises
    ------
    UsageError
        If a factor is not an integer, or outside its range.
    """

    brightness: int = 0
    contrast: int = 0
    sharpness: int = 0

    def __post_init__(self) -> None:
        for name, (lowest, highest) in FACTOR_RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not lowest <= value <= highest:
                raise UsageError(
                    Code.FACTOR_OUT_OF_RANGE,
                    f"{name} must be an integer from {lowest} to {highest}, not {value!r}",
                )

    @property
    def is_neutral(self) -> bool:
        """Whether every pixel stays as it is."""
        return self == Adjustment()
