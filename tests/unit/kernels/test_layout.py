import pytest

from imgbatch_kernels.layout import VECTOR_SAMPLES, scratch_pitch, scratch_samples


@pytest.mark.parametrize("samples", [1, 63, 64, 65, 12_000, 1_000_003])
def test_a_scratch_row_has_whole_vectors_and_a_rim_on_both_sides(samples):
    pitch = scratch_pitch(samples)
    whole = -(-samples // VECTOR_SAMPLES) * VECTOR_SAMPLES
    assert pitch == whole + 2 * VECTOR_SAMPLES
    assert scratch_samples(samples) == 3 * pitch + 2 * VECTOR_SAMPLES
