import subprocess
import sys
from pathlib import Path

import pytest

from imgbatch_kernels import compiled

HARDENED = """
import ctypes, sys, warnings
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE
    sys.exit(77)
"""
"""From here on no memory of the process may become executable, as with MemoryDenyWriteExecute."""


def run_hardened(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", HARDENED + program, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this Linux has no PR_SET_MDWE")
    assert done.returncode == 0, done.stderr
    return done


def test_there_is_no_problem_on_an_ordinary_system():
    assert compiled.problem() is None
    assert compiled.is_executable()


def test_where_no_code_may_be_made_opencv_adjusts_the_image_and_one_warning_says_so():
    done = run_hardened("""
import numpy as np
from imgbatch_kernels import adjust, compiled, reference, warm_up
image = np.random.default_rng(1).integers(0, 65535, (20, 30, 4), np.uint16)
chosen = {"brightness": 9, "contrast": 30, "sharpness": 50}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    warm_up()
    out = np.empty_like(image)
    assert adjust(image, **chosen, out=out) is out
    assert (adjust(image, **chosen) == out).all()
assert (out == reference.adjust(image, **chosen)).all()
assert [each.category for each in said] == [compiled.NotExecutable]
print(said[0].message)
""")
    assert "MemoryDenyWriteExecute" in done.stdout
    assert "OpenCV" in done.stdout


def test_a_batch_is_processed_to_the_same_bytes_where_no_code_may_be_made(tmp_path):
    from tests.support import images

    from imgbatch.adjustment import Adjustment
    from imgbatch.pipeline import process

    picture = images.png_of(images.pixels())
    (tmp_path / "picture.png").write_bytes(picture)
    run_hardened(
        """
from pathlib import Path
from imgbatch.adjustment import Adjustment
from imgbatch.pipeline import process
folder = Path(sys.argv[1])
warnings.simplefilter("ignore")
written = process((folder / "picture.png").read_bytes(), Adjustment(5, 20, 40))
(folder / "result.png").write_bytes(written)
""",
        str(tmp_path),
    )
    expected = process(picture, Adjustment(5, 20, 40))
    assert (tmp_path / "result.png").read_bytes() == expected


def test_the_client_says_once_that_no_code_may_be_made_and_writes_all_images(tmp_path):
    photos = Path(__file__).parents[3] / "examples" / "photos"
    words = [str(photos), str(tmp_path / "out"), "--contrast", "20", "--procs", "2"]
    done = run_hardened(
        "from imgbatch.cli.client import main; sys.exit(main(sys.argv[1:]))", *words
    )
    assert done.stderr.count("MemoryDenyWriteExecute") == 1
    count = len([path for path in photos.iterdir() if path.suffix in {".jpg", ".png"}])
    assert (
        len([path for path in (tmp_path / "out").iterdir() if path.suffix in {".jpg", ".png"}])
        == count
    )


def test_the_client_says_once_that_no_kernel_can_be_kept(tmp_path):
    photos = Path(__file__).parents[3] / "examples" / "photos"
    program = (
        "import sys\n"
        "from imgbatch_kernels import compiled\n"
        "compiled.places = lambda: iter([])\n"
        "from imgbatch.cli.client import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [str(photos), str(tmp_path / "out"), "--include", "rocket.jpg", "--procs", "2"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr.count("can't be kept") == 1
