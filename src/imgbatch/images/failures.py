"""The sentences for what is wrong with an image, each beside its code.

They do not know the file's name: the caller puts it in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgbatch.errors import (
    Code,
    DamagedImage,
    ImageError,
    ImgbatchError,
    LimitExceeded,
    RefusedImage,
    SkippedFile,
)

if TYPE_CHECKING:
    from imgbatch.images.picture import Shape


READ_FORMATS = "JPEG, PNG, TIFF, WebP, BMP, GIF, HEIC and AVIF"
"""For sentences."""

_NO_MEMORY = (
    "nsufficient memory",
    "start new thread",
    "failed to map",
    "Cannot allocate memory",
    "ut of memory",
)
_COPY_OR_SALVAGE = (
    "copy it again from its source, or use --damaged salvage to write what can be decoded"
)


def truncated(what: str) -> DamagedImage:
    """Return the failure of a file that ends before it should."""
    sentence = f"{what}; the file is not complete: {_COPY_OR_SALVAGE}"
    return DamagedImage(Code.TRUNCATED_IMAGE, sentence)


def damaged(what: str) -> DamagedImage:
    """Return the failure of a file that contradicts itself."""
    return DamagedImage(Code.DAMAGED_IMAGE, f"{what}; the file is damaged: {_COPY_OR_SALVAGE}")


def beyond_repair(what: str) -> DamagedImage:
    """Return the failure of a file of which no pixel can be decoded."""
    return DamagedImage(
        Code.DAMAGED_IMAGE,
        f"{what}; nothing of the image can be decoded: copy the file again from its source",
    )


def probe_memory(shape: Shape, times: int = 2) -> None:
    """Raise MemoryError if there is not enough for what a codec needs: times the pixels' own.

    Decoders in C say of damage and of want of memory that they failed, and no more.
    """
    import numpy as np

    np.empty(times * shape.size_bytes, np.uint8)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error is for want of memory: C libraries and threads say it in words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


@contextmanager
def as_image_errors() -> Iterator[None]:
    """Turn what is no `ImgbatchError` into an `ImageError`: want of memory, and our own mistakes.

    A mistake that one image brings out is no reason to lose the others.
    """
    try:
        yield
    except ImgbatchError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise LimitExceeded(
                Code.OUT_OF_MEMORY,
                "the image needs more memory than there is for it; lower --procs, "
                "or process this file on a machine with more",
            ) from error
        # Of a compiler's complaint, the first of twenty lines.
        reason = str(error).partition("\n")[0]
        raise ImageError(
            Code.INTERNAL_ERROR,
            f"imgbatch has an error that this image brings out ({type(error).__name__}: "
            f"{reason}); please report it together with the file",
        ) from error


def unsupported(what: str) -> RefusedImage:
    """Return the error for a valid image of a kind that is not processed."""
    return RefusedImage(Code.UNSUPPORTED_IMAGE, what)


def several_pictures(what: str) -> RefusedImage:
    """Return the error for a file whose pictures can't all be written."""
    return RefusedImage(
        Code.ANIMATED_IMAGE,
        f"{what}; use --frames first to write the first picture alone",
    )


def unsupported_format(name: str) -> SkippedFile:
    """Return the reason to skip a format that is recognised and not written."""
    return SkippedFile(
        Code.UNSUPPORTED_FORMAT,
        f"the file is {name}, which imgbatch does not process; convert it to a format that it "
        f"reads: {READ_FORMATS}",
    )
