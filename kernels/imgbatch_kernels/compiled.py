"""Compiled kernels: made by Numba once for a processor, kept as object code, loaded by llvmlite.

Numba's own cache is not used. It pickles, breaks with an exception or a crash when one of its
files is damaged, can't be read from a read-only place, and needs Numba imported to be read at all:
0.12 to 0.29 s in each process, llvmlite alone 0.02 to 0.05 s. The kernels need nothing of Python,
so their object code can be kept as it is.

There is one file for each kernel, state of the sources, version of Numba and llvmlite, and
processor: a checksum and the object code. Files are renamed into place when they are whole; one
that is damaged is not believed, but made again. Of all processes that lack a kernel, one at a time
compiles it: the others wait for it, by a lock on a file beside, and load what it has kept. The
folders, in this order:

1. ``$NUMBA_CACHE_DIR/imgbatch_kernels``, if the variable is set;
2. ``__pycache__`` beside this package;
3. ``$XDG_CACHE_HOME/imgbatch_kernels``, else ``~/.cache/imgbatch_kernels``.

All are read, also those that can't be written (a container whose image was warmed when it was
built); the first that can be written takes a new file. Because the files are run as code, a folder
or a file that anyone but this user or root could have written is neither read nor written.

Importing llvmlite and loading a kernel start no thread and leave nothing behind that a fork would
break, so a process that forks workers does both before, by `preload`: a worker's first call then
takes 0.7 ms instead of 6. It compiles nothing, since a process that has used Numba must not fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import stat
import threading
import warnings
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgbatch_kernels.loops import KERNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SYMBOL = "imgbatch_kernel"
_CHECKSUM_BYTES = 32

_ready: dict[str, Callable[..., None]] = {}
_owners: list[Any] = []
"""What owns the memory that loaded kernels run in; kept for as long as the process lives."""
_loading = threading.Lock()


def on_compiling(active: bool) -> None:
    """Do nothing; a program may put in a function that is told when a kernel is not in the cache.

    It is called with True before this process compiles one, or waits for the process that does,
    and with False after.
    """


class Unkept(RuntimeWarning):
    """Compiled kernels can be kept nowhere: every process compiles its own."""


class NotExecutable(RuntimeWarning):
    """The system lets no memory become executable, so OpenCV works in place of the kernels."""


# --- Kernels, ready to be called ------------------------------------------------------------------


def kernel(name: str) -> Callable[..., None]:
    """Return a kernel of `loops.KERNELS`, made ready only once.

    It takes addresses, or ctypes arrays, and holds no lock while it runs. With
    `NUMBA_DISABLE_JIT` set, the same loops run as plain Python, hundreds of times slower.
    """
    with _loading:
        if name not in _ready:
            _ready[name] = _interpreted(name) if _is_interpreted() else _loaded(name)
        return _ready[name]


def is_cached(names: Iterable[str] = tuple(KERNELS)) -> bool:
    """Whether kernels can be had without compiling; llvmlite is imported to tell, not Numba."""
    if _is_interpreted() or execution_problem() is not None:
        return True
    return all(name in _ready or read(file_name(name)) is not None for name in names)


def preload() -> None:
    """Load the kernel that nearly every image needs, if it is in the cache: see above."""
    name = "adjust-uint8"
    if not _is_interpreted() and execution_problem() is None and is_cached([name]):
        kernel(name)


def _is_interpreted() -> bool:
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}


def _interpreted(name: str) -> Callable[..., None]:
    """Return what calls the loops on arrays over the memory at the addresses."""
    import numpy as np

    loops = _loops(name)
    kinds = [np.ctypeslib.as_ctypes_type(np.dtype(dtype)) for dtype in KERNELS[name].pointers]
    unbounded = (1 << 40,)

    def run(*addresses: Any) -> None:
        pointers = map(ctypes.cast, addresses, map(ctypes.POINTER, kinds))
        with np.errstate(over="ignore"):  # the low half of a product is meant
            loops(*(np.ctypeslib.as_array(pointer, unbounded) for pointer in pointers))

    return run


def _loops(name: str) -> Callable[..., None]:
    module = import_module(f"imgbatch_kernels.loops.{KERNELS[name].module}")
    loops: Callable[..., None] = module.KERNELS[name]
    return loops


def _loaded(name: str) -> Callable[..., None]:
    """Return a kernel from the cache; if it is not there, compile and keep it."""
    code = read(file_name(name))
    if code is not None:
        return _function(name, _address(code))
    on_compiling(True)
    try:
        with _one_at_a_time(name):
            code = read(file_name(name))  # which another process may have kept meanwhile
            return _made(name) if code is None else _function(name, _address(code))
    finally:
        on_compiling(False)


def _made(name: str) -> Callable[..., None]:
    """Compile a kernel, keep it and return it."""
    callback = _compiled(name)
    code = object_code(name, callback)
    if code is None:
        _owners.append(callback)
        return _function(name, callback.address)
    write(file_name(name), code)
    return _function(name, _address(code))


def _function(name: str, address: int) -> Callable[..., None]:
    pointers = [ctypes.c_void_p] * len(KERNELS[name].pointers)
    return ctypes.CFUNCTYPE(None, *pointers)(address)


def _address(code: bytes) -> int:
    """Place object code in memory and return where its function is."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _owners.append(engine)
    address: int = engine.get_function_address(_SYMBOL)
    return address


# --- Whether compiled code may run ----------------------------------------------------------------


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


# --- Compiling ------------------------------------------------------------------------------------


@cache
def processor() -> tuple[str, str, str]:
    """Return what LLVM calls the kind of system, the processor and its features.

    They are this machine's, or those that Numba's variables ask for: `NUMBA_CPU_NAME` and
    `NUMBA_CPU_FEATURES` count as they do for Numba itself.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name.lower() == "generic" else llvm.get_host_cpu_features().flatten()
    return llvm.get_process_triple(), name, features


def _target_machine() -> Any:
    """Make a code generator for `processor`, with the options of Numba's own."""
    import llvmlite.binding as llvm

    triple, name, features = processor()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=name,
        features=features,
        opt=3,
        reloc="static" if triple.startswith("x86_64") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def _compiled(name: str) -> Any:
    """Compile a kernel, by Numba's public means: a `numba.cfunc`."""
    from numba import cfunc, types

    pointer: Any = types.CPointer
    pointers = [pointer(getattr(types, dtype)) for dtype in KERNELS[name].pointers]
    return cfunc(types.void(*pointers), error_model="numpy")(_loops(name))


def object_code(name: str, callback: Any) -> bytes | None:
    """Return the object code, for this processor, of what Numba compiled.

    None if a version of Numba should leave calls into Python in it: then it can't be kept, and
    serves this process as it is.
    """
    module = _module(name, callback)
    is_foreign = any(
        function.is_declaration and not function.name.startswith("llvm.")
        for function in module.functions
    )
    return None if is_foreign else _target_machine().emit_object(module)


def assembly(name: str) -> str:
    """Return the machine code of a kernel as text, to be read."""
    text: str = _target_machine().emit_assembly(_module(name, _compiled(name)))
    return text


def _module(name: str, callback: Any) -> Any:
    """Return the optimised LLVM module of a callback, reduced to what `_SYMBOL` needs."""
    import llvmlite.binding as llvm

    wrapper = callback.native_name
    inner = wrapper.removeprefix("cfunc.")
    parameters = ", ".join(f"ptr %{i}" for i in range(len(KERNELS[name].pointers)))
    # Numba's own wrapper reports exceptions to Python; there are none to report.
    entry = f"""
define void @{_SYMBOL}({parameters}) {{
  %result = alloca ptr
  %exception = alloca ptr
  %status = call i32 @{inner}(ptr %result, ptr %exception, {parameters})
  ret void
}}
"""
    module = llvm.parse_assembly(callback.inspect_llvm() + entry)
    for function in (wrapper, inner):
        module.get_function(function).linkage = llvm.Linkage.internal
    builder = llvm.create_pass_builder(_target_machine(), llvm.PipelineTuningOptions())
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, builder)
    return module


# --- The cache ------------------------------------------------------------------------------------


@cache
def file_name(name: str) -> str:
    """Return the name of a kernel's file, different for all that could make its code differ."""
    digest = blake2b(digest_size=16)
    for source in (Path(__file__), *sorted(Path(__file__).with_name("loops").glob("*.py"))):
        digest.update(source.read_bytes())
    for word in (_version("numba"), _version("llvmlite"), *processor()):
        digest.update(word.encode() + b"\0")
    return f"{name}-{digest.hexdigest()}.kernel"


def _version(package: str) -> str:
    """Return the text of the file in which a package says its version, without importing it."""
    spec = PathFinder.find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).with_name("_version.py")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    from importlib import metadata

    return metadata.version(package)


def read(file: str) -> bytes | None:
    """Return the object code of a file, or None if it is nowhere, damaged or not to be trusted."""
    for place in places():
        with contextlib.suppress(OSError):
            content = _trusted_content(place, file)
            checksum, code = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
            if checksum == _checksum(file, code):
                return code
    return None


def write(file: str, code: bytes) -> Path | None:
    """Keep object code in the first place that takes it and that `read` will trust.

    Returns
    -------
        The file, or None if no place could be written; then a warning `Unkept` says so, once.
    """
    content = _checksum(file, code) + code
    place, reasons = _first_place(lambda place: _write_whole(place / file, content))
    if place is not None:
        return place / file
    _warn_unkept(reasons)
    return None


def problem() -> str | None:
    """Return the sentence to tell where kernels can't run, or every process has to compile them.

    None where all is well, which costs little to find out; llvmlite is imported only where nothing
    can be kept.
    """
    import tempfile

    place, reasons = _first_place(lambda place: tempfile.TemporaryFile(dir=place).close())
    is_kept = place is not None or is_cached(["adjust-uint8"])
    return execution_problem() or (None if is_kept else _unkept(reasons))


@contextlib.contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Hold the lock on a kernel, if there is a place for one; it goes with the process."""
    import fcntl

    with contextlib.ExitStack() as stack:

        def lock(place: Path) -> None:
            path = place / f".{name}.lock"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode=0o600)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            stack.callback(path.unlink, missing_ok=True)  # those who wait for it have it open

        _first_place(lock)
        yield


def _first_place(use: Callable[[Path], None]) -> tuple[Path | None, str]:
    """Return the first place that is trusted and can be used so, or why there is none."""
    reasons = []
    for place in places():
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_trusted(place.stat())
            use(place)
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
        else:
            return place, ""
    return None, "; ".join(reasons)


def _unkept(reasons: str) -> str:
    return (
        f"compiled kernels can't be kept ({reasons}), so every process spends seconds to compile "
        "them; set NUMBA_CACHE_DIR to a folder that you, and only you, can write"
    )


@cache
def _warn_unkept(reasons: str) -> None:
    warnings.warn(_unkept(reasons), Unkept, stacklevel=3)


def places() -> Iterator[Path]:
    """Yield the folders that may hold compiled kernels, best first."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        yield Path(chosen) / "imgbatch_kernels"
    yield Path(__file__).parent / "__pycache__"
    base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # no home at all
        yield (Path(base) if base else Path.home() / ".cache") / "imgbatch_kernels"


def _write_whole(path: Path, content: bytes) -> None:
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".kernel-part")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _trusted_content(folder: Path, file: str) -> bytes:
    """Read a file that only this user or root could have written.

    What is checked is what has been opened, not a path that may lead elsewhere a moment later.
    """
    folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _check_trusted(os.fstat(folder_descriptor))
        descriptor = os.open(file, os.O_RDONLY, dir_fd=folder_descriptor)
    finally:
        os.close(folder_descriptor)
    with open(descriptor, "rb") as opened:  # noqa: PTH123 - a descriptor, not a path
        _check_trusted(os.fstat(descriptor))
        return opened.read()


def _check_trusted(status: os.stat_result) -> None:
    """Raise a PermissionError if someone else could have written a file or folder."""
    if status.st_uid not in {0, os.geteuid()}:
        raise PermissionError(errno.EPERM, "it belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "its group or others may write it")


def _checksum(file: str, code: bytes) -> bytes:
    return blake2b(code, digest_size=_CHECKSUM_BYTES, key=blake2b(file.encode()).digest()).digest()
