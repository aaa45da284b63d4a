from __future__ import annotations

import os
import subprocess
import sys

import pytest

from imgbatch.images.quiet import quiet_stderr


def test_nothing_reaches_file_descriptor_2_within_and_all_of_it_afterwards(capfd):
    with quiet_stderr():
        os.write(2, b"a library's warning")
    os.write(2, b"our own")
    assert capfd.readouterr().err == "our own"


def test_the_descriptor_comes_back_after_an_error(capfd):
    with pytest.raises(ValueError, match="within"), quiet_stderr():
        raise ValueError("within")
    os.write(2, b"again")
    assert capfd.readouterr().err == "again"


def test_descriptors_do_not_run_out():
    before = os.dup(0)
    os.close(before)
    for _ in range(100):
        with quiet_stderr():
            pass
    after = os.dup(0)  # the lowest number that is free
    os.close(after)
    assert after == before


def test_a_process_without_the_descriptor_can_be_quiet_too():
    program = (
        "import os; os.close(2)\n"
        "from imgbatch.images.quiet import quiet_stderr\n"
        "with quiet_stderr(): print('done')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"done\n"
