import numpy as np

from imgbatch_kernels.loops import scratch_pitch, scratch_samples
from imgbatch_kernels.loops.adjust_image import KERNELS


def test_a_kernel_stays_within_its_scratch_memory():
    samples, channels, height = 100, 4, 5
    pitch, size = scratch_pitch(samples), scratch_samples(samples)
    guard = 64
    scratch = np.full(size + 2 * guard, 77, np.uint8)
    image = np.random.default_rng(1).integers(0, 256, height * samples, np.uint8)
    target = np.zeros_like(image)
    halo = image[:samples]
    shape = [height, samples, channels, pitch]
    coefficients = np.array([1, 77, -18, 128, 154], np.int16)
    kernel = KERNELS["adjust-uint8"]
    inner = scratch[guard : guard + size]
    kernel(image, target, halo, halo, inner, np.array(shape), coefficients)
    assert (scratch[:guard] == 77).all()
    assert (scratch[guard + size :] == 77).all()
    assert (inner != 77).any()
