"""What the scratch memory of a kernel holds.

In samples: two adjusted rows and the alpha mask, each with a rim of one vector on both sides for
the reflected pixels; then one vector each for the end of a source and of a target row that is no
multiple of a vector.
"""

from __future__ import annotations

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
