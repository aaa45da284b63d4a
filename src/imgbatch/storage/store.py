"""Listing, reading and writing objects, through obstore.

What may pass (time-outs, broken connections, 429, 5xx such as SlowDown) is tried again, with
pauses that grow, for two minutes; `on_waiting` hears of it. That is done here and not left to
obstore, which does not tell what it waits for.

Results are written by a single PUT, however large: it is atomic, S3 takes 5 GiB in one, a
condition can go with it, and a process that is killed leaves nothing behind. A multipart upload
would stay, and be charged for, until somebody aborts it.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from imgbatch.buffer import Buffer
from imgbatch.errors import Code, EngineError, FileError, OutputError
from imgbatch.storage.places import Location, ObjectPath

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config

T = TypeVar("T")
Attributes = Mapping[str, str]
"""Content-Type and other headers that belong to an object, and its own metadata."""

PATIENCE_SECONDS = 120.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0
_CLIENT = {
    "allow_http": True,  # used only if the endpoint that was set says so
    "connect_timeout": "5s",
    "read_timeout": "30s",
    "timeout": "10m",
}
_PAGE_OBJECTS = 1_000
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_NO_CREDENTIALS = re.compile(
    "InvalidAccessKeyId|SignatureDoesNotMatch|Expired|Invalid.*Token|RequestTimeTooSkewed"
    "|AuthorizationHeaderMalformed|AuthenticationFailed"
)
_HOW = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or this machine's role give "
    "them, AWS_REGION and AWS_ENDPOINT_URL say where",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS names the file with them",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY give them",
}
# What is taken from a profile, if none of these variables says otherwise.
_PROFILE_KEYS = {
    "aws_access_key_id": (),
    "aws_secret_access_key": (),
    "aws_session_token": (),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "endpoint_url": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"),
}


def _pass_over(_why: str) -> None:
    pass


on_waiting: Callable[[str], None] = _pass_over
"""Told why a store is waited for, and with an empty text when that is over."""

_without_conditions: set[str] = set()
"""Stores that were found to have no conditional writes."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, as its store lists it.

    Parameters
    ----------
    name
        Its key, below that of the place that was listed.
    etag
        Changes with its content; empty if the store has none.
    """

    name: str
    size_bytes: int
    modified_ns: int
    etag: str


class _NotDone(Exception):
    """A store answered that it won't: no other answer is to be expected."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def objects_below(place: ObjectPath) -> Iterator[Stored]:
    """Yield the objects below a place in the order of the store, holding one page of them.

    The empty objects that consoles make for folders, whose keys end with a slash, are left out.

    Raises
    ------
    EngineError
        If the store can't be reached, or refuses.
    """
    import obstore

    pages: Iterator[Any] | None = None
    last: str | None = None

    def next_page(store: ObjectStore) -> Any:
        nonlocal pages
        if pages is None:
            pages = iter(obstore.list(store, place.key, offset=last, chunk_size=_PAGE_OBJECTS))
        try:
            return next(pages, ())
        except Exception:
            pages = None  # the next attempt goes on behind the last page
            raise

    try:
        while page := _attempt(place, next_page):
            for meta, following in zip(page, [*page[1:], None], strict=True):
                last = meta["path"]
                if _is_folder_marker(place, meta, following):
                    # Behind its key, whose slash the library leaves out here as well.
                    last += "/ "
                else:
                    yield _stored(meta, place)
    except (FileNotFoundError, _NotDone) as error:
        if getattr(error, "status", 0) == 403:
            raise _refused(place, f"can't be listed: {_reason_of(error)}") from None
        sentence = f"{place} can't be listed: {_reason_of(error)}"
        raise EngineError(Code.STORAGE_REFUSED, sentence) from None


def look_at(path: ObjectPath) -> Stored | None:
    """Return an object as it is now, by the last part of its key; None if there is none.

    Raises
    ------
    FileError
        If we may not look at it.
    EngineError
        If the store can't be reached, or refuses.
    """
    import obstore

    try:
        return _stored(_attempt(path, lambda store: obstore.head(store, path.key)), path.parent)
    except FileNotFoundError:
        return None
    except (_NotDone, ValueError) as error:
        raise _unreadable(path, error) from None


def read(
    path: ObjectPath, etag: str = "", size_bytes: int | None = None
) -> tuple[memoryview, Attributes]:
    """Return an object's bytes, as the library holds them, and the attributes that it carries.

    Parameters
    ----------
    etag, size_bytes
        Of the object that is meant, if one is. Of another size, none is held in memory.

    Raises
    ------
    FileError
        If it is gone, is another by now, or may not be read.
    EngineError
        If the store can't be reached, or refuses.
    """
    import obstore
    from obstore.exceptions import PreconditionError

    quoted = etag if '"' in etag else f'"{etag}"'  # Azure lists them without

    def get(store: ObjectStore) -> tuple[memoryview, Attributes]:
        found = obstore.get(store, path.key, options={"if_match": quoted} if etag else None)
        other = (found.meta["e_tag"] or "").strip('"') != etag.strip('"')
        if etag and other:  # from a store that knows no conditions
            raise changed_source(path)
        if size_bytes not in {None, found.meta["size"]}:
            raise changed_source(path)
        attributes = {str(name): value for name, value in found.attributes.items()}
        return memoryview(found.bytes()), attributes

    try:
        return _attempt(path, get)
    except PreconditionError:
        raise changed_source(path) from None
    except FileNotFoundError:
        raise FileError(Code.UNREADABLE_FILE, f"{path} can't be read: it is gone") from None
    except (_NotDone, ValueError) as error:
        raise _unreadable(path, error) from None


def read_head(path: ObjectPath, count: int) -> bytes:
    """Return the first bytes of an object, `count` or all.

    Raises
    ------
    FileError
        If it is gone or empty, or may not be read.
    EngineError
        If the store can't be reached, or refuses.
    """
    import obstore

    try:
        get = partial(obstore.get_range, path=path.key, start=0, length=count)
        return bytes(_attempt(path, get))
    except (FileNotFoundError, _NotDone, ValueError) as error:
        raise _unreadable(path, error) from None


def write(
    path: ObjectPath, data: Buffer | Path, attributes: Attributes, *, overwrite: bool
) -> None:
    """Write an object, whole or not at all.

    Where the store has no conditional writes, it is looked whether there is an object before.

    Parameters
    ----------
    data
        The bytes, which go in a single request; or a file of any size, which goes in pieces.

    Raises
    ------
    FileError
        If there is one, and it is not to be replaced; or if its name can't be a key.
    OutputError, EngineError
        If the store takes no objects from us, or can't be reached.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    conditional = not overwrite and path.store not in _without_conditions
    if not (overwrite or conditional) and look_at(path) is not None:
        raise existing_output(path)

    attempts = 0

    def put(store: ObjectStore) -> None:
        nonlocal attempts
        attempts += 1
        obstore.put(
            store,
            path.key,
            data,
            attributes=dict(attributes),
            mode="create" if conditional else "overwrite",
            use_multipart=isinstance(data, Path) and overwrite,
            max_concurrency=2,
        )

    try:
        _attempt(path, put)
    except (AlreadyExistsError, PreconditionError):
        # It may be ours: of an attempt that was done, and whose answer was lost.
        if attempts == 1 or not _holds(path, data):
            raise existing_output(path) from None
    except (_NotDone, FileNotFoundError, ValueError) as error:
        status = getattr(error, "status", 404 if isinstance(error, OSError) else 400)
        if conditional and status in {409, 501}:
            # 409 is also what a store says of two writers at once.
            _without_conditions.update({path.store} if status == 501 else ())
            if look_at(path) is None:
                write(path, data, attributes, overwrite=True)
            elif attempts == 1 or not _holds(path, data):
                raise existing_output(path) from None
            return
        kind = OutputError if status in {401, 403, 404} else FileError
        code = Code.OUTPUT_FOLDER_UNWRITABLE if kind is OutputError else Code.OUTPUT_UNWRITABLE
        raise kind(code, f"{path} can't be written: {_reason_of(error)}") from None


def _holds(path: ObjectPath, data: Buffer | Path) -> bool:
    """Whether an object is there that has these bytes; of another size, it is not read."""
    if isinstance(data, Path):
        return False
    try:
        return read(path, size_bytes=len(data))[0] == data
    except FileError:
        return False


def _attempt(path: ObjectPath, action: Callable[[ObjectStore], T]) -> T:
    """Do something in a store, again while what keeps it from being done may pass."""
    from obstore import exceptions

    give_up_seconds = time.monotonic() + PATIENCE_SECONDS
    pause_seconds, told = FIRST_PAUSE_SECONDS, False
    try:
        while True:
            try:
                return action(_opened(path.store))
            except (FileNotFoundError, exceptions.AlreadyExistsError, exceptions.PreconditionError):
                raise
            except exceptions.BaseError as error:
                text = str(error)
            # Out of that block, so that no error of ours has the library's as its context: its text
            # has keys and signatures in it.
            reason = _passing(path, text)
            if time.monotonic() + pause_seconds > give_up_seconds:
                raise EngineError(
                    Code.STORAGE_UNREACHABLE,
                    f"{path.store} can't be reached: {reason}, for {PATIENCE_SECONDS:.0f} s; "
                    "continue with --resume",
                )
            on_waiting(f"waiting for {path.store}: {reason}")
            told = True
            time.sleep(pause_seconds * random.uniform(0.5, 1.0))
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
    finally:
        if told:
            on_waiting("")


def _passing(path: ObjectPath, text: str) -> str:
    """Return why something failed that may pass, by what the library says; else raise."""
    # Where a cloud's machine would find those of its role.
    if re.search(r"://(169\.254\.|metadata\.google)", text):
        raise _refused(path, "needs credentials, and there are none")
    invalid = re.search(r'invalid path: .*?Path "(.*?)"', text, re.DOTALL)
    if invalid:
        why = f"an object's key, {invalid[1]!r}, can't be a file's path; rename that object"
        raise _NotDone(400, why)
    if "redirect without LOCATION" in text:
        raise _refused(path, "is elsewhere: of another region, or at another endpoint")
    status = re.search(r"status code: (\d{3})(?: ([A-Za-z -]+))?", text)
    if status is None:
        return "the connection failed"
    code = re.search(r"<Code>(\w+)</Code>", text)
    number, reason = int(status[1]), f"{status[1]} {code[1] if code else status[2] or ''}".strip()
    if number in _PASSING or reason == "400 RequestTimeout":  # a body that came too slowly
        return f"it answers {reason}"
    if number == 401 or _NO_CREDENTIALS.search(reason):
        raise _refused(path, f"refuses this machine's credentials ({reason})")
    raise _NotDone(number, f"the store answers {reason}")


@cache
def _opened(name: str) -> ObjectStore:
    """Return the library's object for a store; it keeps connections, and is not to be forked."""
    from obstore import exceptions, store

    scheme, _, bucket = name.partition("://")
    options: dict[str, Any] = {"client_options": _CLIENT, "retry_config": {"max_retries": 0}}
    try:
        if scheme == "s3":
            return store.S3Store(bucket, config=_aws_profile(), **options)
        if scheme == "gs":
            return store.GCSStore(bucket, **options)
        return store.AzureStore(bucket, **options)
    except exceptions.BaseError:
        what = "needs credentials, and these are incomplete, or in a file that can't be read"
        raise _refused(ObjectPath(name), what) from None


def _aws_profile() -> S3Config:
    """Return what the AWS tools' settings files say; the library knows only the environment."""
    import configparser

    profile = os.environ.get("AWS_PROFILE", "default")
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    files = configparser.RawConfigParser()
    for variable, name in (
        ("AWS_CONFIG_FILE", "config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ):
        path = Path(os.environ.get(variable, f"~/.aws/{name}")).expanduser()
        try:
            files.read(path)
        except (configparser.Error, UnicodeDecodeError):
            # Whose text quotes the line, and so perhaps a key.
            sentence = f"{path} can't be read: it is no settings file of the AWS tools; correct it"
            raise EngineError(Code.STORAGE_REFUSED, sentence) from None
    sections = [files[name] for name in (f"profile {profile}", profile) if name in files]
    found = {key: value for section in sections for key, value in section.items()}
    taken = {
        key: found[key]
        for key, variables in _PROFILE_KEYS.items()
        if key in found and not any(map(os.environ.get, variables))
    }
    return cast("S3Config", taken)


def _is_folder_marker(place: ObjectPath, meta: Any, following: Any) -> bool:
    """Whether an object stands for a folder; the library lists it without its key's slash.

    That is told by what is listed next, which lies in it, or else by asking for the object.
    """
    path = ObjectPath(place.store, meta["path"])
    if path.key == place.key:
        return True
    if meta["size"]:
        return False
    if following is not None and following["path"].startswith(f"{path.key}/"):
        return True
    try:
        return look_at(path) is None
    except FileError:
        return False


def _stored(meta: Any, place: ObjectPath) -> Stored:
    name = meta["path"][len(place.key) + 1 if place.key else 0 :]
    seconds = meta["last_modified"].timestamp()
    return Stored(name, meta["size"], int(seconds * 1e6) * 1000, meta["e_tag"] or "")


def _reason_of(error: Exception) -> str:
    if isinstance(error, _NotDone):
        return error.reason
    return "there is no such bucket" if isinstance(error, OSError) else "that can't be a key"


def _refused(path: ObjectPath, what: str) -> EngineError:
    how = _HOW[path.store.partition("://")[0]]
    return EngineError(Code.STORAGE_REFUSED, f"{path.store} {what}; {how}")


def changed_source(place: Location) -> FileError:
    """Return the error for a source, a file or an object, that is no longer what the scan saw."""
    return FileError(
        Code.CHANGED_FILE,
        f"{place} was changed after the run had begun; --resume processes it as it is then",
    )


def existing_output(place: Location) -> FileError:
    """Return the error for a result whose name was taken, by a file or an object."""
    return FileError(
        Code.OUTPUT_EXISTS, f"{place} exists and was not replaced; --overwrite replaces it"
    )


def _unreadable(path: ObjectPath, error: Exception) -> FileError:
    return FileError(Code.UNREADABLE_FILE, f"{path} can't be read: {_reason_of(error)}")
