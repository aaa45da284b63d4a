"""What the loops and those who call them agree on; importing it does not import Numba."""

from __future__ import annotations

from typing import NamedTuple


class KernelType(NamedTuple):
    """Where a kernel comes from, and what it takes.

    Parameters
    ----------
    module
        The file of this folder whose `KERNELS` has it.
    pointers
        The dtypes of the memory that its parameters point to.
    """

    module: str
    pointers: tuple[str, ...]


def _adjusting(sample: str, lane: str) -> KernelType:
    return KernelType("adjust_image", (*[sample] * 5, "int64", lane))


PIXEL_BYTES = (1, 2, 3, 4, 6, 8)
"""How long a pixel of PNG may be, whose samples are whole bytes."""

KERNELS = {
    "adjust-uint8": _adjusting("uint8", "int16"),
    "adjust-uint16": _adjusting("uint16", "int32"),
    "png-filter": KernelType("png", ("uint8", "uint8", "uint8", "int64")),
    **{
        f"png-unfilter-{size}": KernelType("png", ("uint8", "uint8", "int64", "uint8"))
        for size in PIXEL_BYTES
    },
}
"""All kernels by name. Each is compiled on its own, when it is first needed."""

# --- Adjusting: the scratch memory --------------------------------------------------------------
#
# In samples: two adjusted rows and the alpha mask, each with a rim of one vector on both sides for
# the reflected pixels; then one vector each for the end of a source and of a target row that is no
# multiple of a vector.

VECTOR_SAMPLES = 128
"""Samples that the widest loop takes in one turn: four registers of 512 bits, of 16-bit lanes."""

TURN_SAMPLES = 32
"""Samples that the loops of sharpening take in one turn: one register of 512 bits."""


def scratch_pitch(samples: int) -> int:
    """Return the samples from one scratch row to the next, for image rows of so many."""
    return (samples + 3 * VECTOR_SAMPLES - 1) // VECTOR_SAMPLES * VECTOR_SAMPLES


def scratch_samples(samples: int) -> int:
    """Return how many samples the scratch memory holds in all."""
    return 3 * scratch_pitch(samples) + 2 * VECTOR_SAMPLES


# --- PNG's filters ------------------------------------------------------------------------------

NONE, SUB, UP, AVERAGE, PAETH, ADAPTIVE = range(6)
"""PNG's five filters by their numbers, and the choice of one for each row."""
