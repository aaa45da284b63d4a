"""A million frames through the codec: right ones, and ones with something wrong in every place."""

from __future__ import annotations

import resource

import pytest
from tests.support.codec_fuzzer import fuzz

FRAMES = 1_000_000
PARTS = 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_frames_are_taken_as_they_were_or_refused(part: int) -> None:
    """In parts, so that what is told of a failure names a seed soon; memory does not grow."""
    most = FRAMES // PARTS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = fuzz(range(part * most, (part + 1) * most))
    grown_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcomes.total() == most
    assert outcomes["taken"] > most // 10
    # All kinds of refusal were met, so no mutation has become one that changes nothing.
    assert {"MalformedFrame", "FrameTooLarge", "DamagedPayload", "VersionMismatch"} <= set(outcomes)
    assert grown_kilobytes < 64 * 1024
