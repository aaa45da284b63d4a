"""Whether this process may run code that it has compiled or read from a cache."""

from __future__ import annotations

import ctypes
import mmap
import warnings
from functools import cache


class NotExecutable(RuntimeWarning):
    """The system lets no memory become executable, so OpenCV works in place of the kernels."""


@cache
def execution_problem() -> str | None:
    """Return the sentence to tell where the system refuses compiled code; None where it does not.

    systemd's `MemoryDenyWriteExecute`, SELinux without `execmem` and PaX refuse it. LLVM's loader
    does not notice, and the process would be killed at the first call; so one page is tried.
    """
    library = ctypes.CDLL(None, use_errno=True)
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as page:
        start = ctypes.c_char.from_buffer(page)
        address = ctypes.c_void_p(ctypes.addressof(start))
        del start  # or the page could not be closed
        protection = mmap.PROT_READ | mmap.PROT_EXEC
        if library.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), protection) == 0:
            return None
    return (
        "the system lets no program run code that it compiles itself (MemoryDenyWriteExecute of "
        "systemd, or SELinux without execmem), so OpenCV does the work of the kernels: the same "
        "pixels, but slower; allow it to imgbatch to be fast again"
    )


@cache
def is_executable() -> bool:
    """Whether compiled code may be run here; if not, a warning `NotExecutable` says so, once."""
    problem = execution_problem()
    if problem is not None:
        warnings.warn(problem, NotExecutable, stacklevel=3)
    return problem is None
