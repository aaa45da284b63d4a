from fractions import Fraction

import pytest

from imgbatch_kernels.coefficients import Coefficients, coefficients_of


def test_neutral_factors_give_neutral_coefficients():
    assert coefficients_of(0, 0, 0, 8) == Coefficients(slope=256, offset=0, weight=0)
    assert coefficients_of(0, 0, 0, 16) == Coefficients(slope=256, offset=0, weight=0)
    assert not coefficients_of(0, 0, 50, 8).has_point_step
    assert coefficients_of(1, 0, 0, 8).has_point_step
    assert coefficients_of(0, -1, 0, 8).has_point_step


@pytest.mark.parametrize("contrast", range(-100, 101))
def test_the_slope_is_the_nearest_256th(contrast):
    wanted = 1 + Fraction(2 * contrast if contrast >= 0 else contrast, 100)
    slope = coefficients_of(0, contrast, 0, 8).slope
    assert abs(Fraction(slope, 256) - wanted) < Fraction(1, 512)


@pytest.mark.parametrize("sharpness", range(101))
def test_the_weight_is_the_nearest_256th(sharpness):
    weight = coefficients_of(0, 0, sharpness, 8).weight
    assert abs(Fraction(weight, 256) - Fraction(sharpness, 100)) < Fraction(1, 512)


@pytest.mark.parametrize(("bits", "middle", "level"), [(8, 128, 1), (16, 32768, 257)])
def test_contrast_turns_about_mid_grey_and_brightness_adds_levels(bits, middle, level):
    for contrast in (-100, -7, 0, 31, 100):
        for brightness in (-100, 0, 3, 100):
            slope, offset, _ = coefficients_of(brightness, contrast, 0, bits)
            assert slope * middle + offset == 256 * (middle + level * brightness)


def test_the_largest_coefficients_keep_sums_of_8_bits_within_16_and_of_16_bits_within_32():
    for contrast in range(-100, 101):
        for brightness in (-100, 100):
            slope, offset, _ = coefficients_of(brightness, contrast, 0, 8)
            whole, fraction = divmod(slope, 256)
            level, remainder = divmod(offset, 256)
            assert 255 * fraction + remainder + 128 < 2**16
            assert level >= -(2**15)
            assert 255 * whole + level + 255 < 2**15
            slope, offset, _ = coefficients_of(brightness, contrast, 0, 16)
            assert offset >= -(2**31)
            assert 65535 * slope + max(offset, 0) + 128 < 2**31
    assert 4 * 255 * 32 < 2**15
    assert 65535 * 4 * 256 + 128 < 2**31
