import numpy as np
import pytest

from imgbatch_kernels import adjust

IMAGE = np.zeros((4, 5, 3), np.uint8)
LIMITS = {"brightness": (-100, 100), "contrast": (-100, 100), "sharpness": (0, 100)}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [1.0, "1", None, True, np.bool_(True), 1j, [1]])
def test_a_factor_that_is_not_an_integer_is_refused(name, value):
    with pytest.raises(
        TypeError, match=rf"{name} must be an integer from {LIMITS[name][0]} to 100"
    ):
        adjust(IMAGE, **{name: value})


@pytest.mark.parametrize("name", LIMITS)
def test_a_factor_out_of_range_is_refused_and_the_ends_are_taken(name):
    lowest, highest = LIMITS[name]
    for value in (lowest - 1, highest + 1, 10**30):
        with pytest.raises(ValueError, match=f"from {lowest} to {highest}, not {value}"):
            adjust(IMAGE, **{name: value})
    for value in (lowest, highest, np.int8(highest), np.uint16(0)):
        adjust(IMAGE, **{name: value})


@pytest.mark.parametrize("image", [[[1, 2]], b"1234", None, 7])
def test_what_is_not_an_array_is_refused(image):
    with pytest.raises(TypeError, match="must be a numpy array"):
        adjust(image, brightness=1)


@pytest.mark.parametrize("dtype", ["i1", "i4", "f4", "f8", "bool", "u4", ">u2", "O", "c8"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="uint8 or uint16 in native byte order"):
        adjust(np.zeros((3, 3), dtype), brightness=1)


@pytest.mark.parametrize("shape", [(), (3,), (3, 3, 5), (3, 3, 0), (1, 3, 3, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(H, W\) or \(H, W, 1\.\.4\)"):
        adjust(np.zeros(shape, np.uint8), brightness=1)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (0, 3, 3), (3, 0, 4)])
def test_empty_images_are_refused(shape):
    with pytest.raises(ValueError, match="a row and a column"):
        adjust(np.zeros(shape, np.uint8), brightness=1)


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_threads_than_one_are_refused(threads):
    with pytest.raises(ValueError, match=f"threads must be .* from 1 upwards, not {threads}"):
        adjust(IMAGE, threads=threads)


@pytest.mark.parametrize("threads", [1.0, "auto", None, True])
def test_threads_that_is_not_an_integer_are_refused(threads):
    with pytest.raises(TypeError, match="threads must be an integer from 1 upwards"):
        adjust(IMAGE, threads=threads)


def test_an_output_that_is_not_an_array_is_refused():
    with pytest.raises(TypeError, match="must be a numpy array or None, not a bytearray"):
        adjust(IMAGE, out=bytearray(60))


def test_an_output_of_another_dtype_is_refused():
    with pytest.raises(TypeError, match="must have the image's dtype, uint8, not uint16"):
        adjust(IMAGE, out=np.zeros((4, 5, 3), np.uint16))


@pytest.mark.parametrize("shape", [(4, 5), (5, 4, 3), (4, 5, 4), (4, 15)])
def test_an_output_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="must have the image's shape"):
        adjust(IMAGE, out=np.zeros(shape, np.uint8))


def test_a_read_only_output_is_refused():
    out = np.zeros_like(IMAGE)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="must be writable"):
        adjust(IMAGE, out=out)


@pytest.mark.parametrize(
    "overlap",
    [
        lambda whole: (whole[:4], whole[1:5]),
        lambda whole: (whole[1:5], whole[:4]),
        lambda whole: (whole[:4], whole[3::-1]),
        lambda whole: (whole[:4, :5], whole[:4, 1:6]),
    ],
)
def test_an_output_that_shares_memory_with_the_image_is_refused(overlap):
    image, out = overlap(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="must be image itself or share no memory"):
        adjust(image, out=out, brightness=1)


def test_a_view_of_the_very_same_samples_is_the_image_itself():
    image = np.full((4, 5, 3), 7, np.uint8)
    out = image[:]
    assert adjust(image, out=out, brightness=1) is out
    assert (image == 8).all()


def test_the_image_is_not_changed_by_a_refusal():
    image = np.full((4, 5, 3), 7, np.uint8)
    with pytest.raises(ValueError, match="sharpness"):
        adjust(image, out=image, brightness=9, sharpness=101)
    assert (image == 7).all()
