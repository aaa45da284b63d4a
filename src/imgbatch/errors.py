"""Every failure imgbatch knows, in one tree.

::

    ImgbatchError
    ├── UsageError            the caller's: a wrong option, path or factor       exit 2
    ├── ImageError            one file's: recorded for it, the batch goes on     exit 1
    │   ├── SkippedFile           not ours to touch: no image, or no format we write
    │   ├── RefusedImage          an image that would not survive being processed
    │   │   └── LimitExceeded         larger than --max-pixels or --max-bytes allow
    │   ├── DamagedImage          what its header promises is not there
    │   ├── FileError             this file can't be read, or its output not written
    │   └── WorkerFailed          the process that held it died or ran out of time
    ├── EngineError           the machinery's: the run can not go on             exit 3
    │   ├── OutputError           the output folder is full or can't be written
    │   ├── BrokerError           the broker can't be reached, or refuses us
    │   └── NoServerError         no server took part before --timeout
    └── ProtocolError         a peer's: what arrived is not a frame of ours
        ├── MalformedFrame        no frame, or not the fields of its kind
        ├── FrameTooLarge         announces more than our limits allow
        ├── VersionMismatch       another major version of the protocol
        └── DamagedPayload        bytes whose hash does not hold

The type says whose fault it was; the code, a stable word for programs, which failure; the
sentence, for people, names the file or option and the way out.
"""

from __future__ import annotations

from enum import StrEnum

MAX_ATTEMPTS = 3
"""Workers that an image may take with it before it fails, or that may end before they are ready
before no more are started."""


class Code(StrEnum):
    """The stable word for each failure a user can meet, as it stands in reports."""

    # skipped files
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"
    # refused and damaged images
    ANIMATED_IMAGE = "animated-image"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_BYTES = "too-many-bytes"
    OUT_OF_MEMORY = "out-of-memory"
    EMPTY_FILE = "empty-file"
    TRUNCATED_IMAGE = "truncated-image"
    DAMAGED_IMAGE = "damaged-image"
    UNSUPPORTED_IMAGE = "unsupported-image"
    # one file
    UNREADABLE_FILE = "unreadable-file"
    CHANGED_FILE = "changed-file"
    OUTPUT_EXISTS = "output-exists"
    OUTPUT_UNWRITABLE = "output-unwritable"
    PLACE_REFUSED = "place-refused"
    # the process that held it
    WORKER_CRASHED = "worker-crashed"
    IMAGE_TIMEOUT = "image-timeout"
    INTERNAL_ERROR = "internal-error"
    # usage
    BAD_OPTION = "bad-option"
    FACTOR_OUT_OF_RANGE = "factor-out-of-range"
    INPUT_MISSING = "input-missing"
    SAME_FOLDER = "same-folder"
    NAME_COLLISION = "name-collision"
    OUTPUTS_EXIST = "outputs-exist"
    NOTHING_TO_RESUME = "nothing-to-resume"
    # engines
    DISK_FULL = "disk-full"
    OUTPUT_FOLDER_UNWRITABLE = "output-folder-unwritable"
    BROKER_UNREACHABLE = "broker-unreachable"
    BROKER_REFUSED = "broker-refused"
    BROKER_UNTRUSTED = "broker-untrusted"
    NO_SERVER = "no-server"
    STORAGE_UNREACHABLE = "storage-unreachable"
    STORAGE_REFUSED = "storage-refused"
    ENGINE_FAILED = "engine-failed"
    # peers
    MALFORMED_FRAME = "malformed-frame"
    FRAME_TOO_LARGE = "frame-too-large"
    VERSION_MISMATCH = "version-mismatch"
    DAMAGED_PAYLOAD = "damaged-payload"


class ImgbatchError(Exception):
    """The root of the tree.

    Parameters
    ----------
    code
        Which failure, for programs.
    sentence
        What happened, to which file or option, and what to do; never a password or a payload.
    """

    exit_status: int = 3

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class UsageError(ImgbatchError):
    """The caller asked for something that has no meaning."""

    exit_status = 2


class ImageError(ImgbatchError):
    """One file could not be processed; its entry in the report says why."""

    exit_status = 1


class SkippedFile(ImageError):
    """The file is not an image, or not of a format imgbatch writes; it is left alone."""


class RefusedImage(ImageError):
    """The image is valid, but processing it would lose or cost too much."""


class LimitExceeded(RefusedImage):
    """The image is larger than a limit; the sentence names the option that raises it."""


class DamagedImage(ImageError):
    """The file begins like an image, and breaks off or contradicts itself."""


class FileError(ImageError):
    """Just this file can't be read, or its output can't be written."""


class WorkerFailed(ImageError):
    """The process that held the image died, or took longer than allowed, each time it was tried."""


class EngineError(ImgbatchError):
    """The run as a whole can't go on."""


class OutputError(EngineError):
    """The output folder can take no more files."""


class BrokerError(EngineError):
    """The broker can't be reached, or refuses what we ask for."""


class NoServerError(EngineError):
    """No server took part in the run before the time allowed for it was over."""


class ProtocolError(ImgbatchError):
    """A peer sent something that is no frame of this protocol."""


class MalformedFrame(ProtocolError):
    """The bytes are no frame, or not the fields that this kind of frame has."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.MALFORMED_FRAME, sentence)


class FrameTooLarge(ProtocolError):
    """A size or count in the frame is beyond the limit; nothing was allocated for it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.FRAME_TOO_LARGE, sentence)


class VersionMismatch(ProtocolError):
    """The peer speaks another major version; the sentence names both."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.VERSION_MISMATCH, sentence)


class DamagedPayload(ProtocolError):
    """The hash of a frame does not hold: it is damaged, or its sender is no member of its batch."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Code.DAMAGED_PAYLOAD, sentence)
