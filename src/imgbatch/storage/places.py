"""The names of places: folders of a machine, and what lies in object stores.

An `ObjectPath` is for a store what a `Path` is for a disk, as far as a run needs it: it is joined,
compared and shown in the same way. Nothing here opens anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from imgbatch.errors import Code, UsageError

SCHEMES = ("s3", "gs", "az")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """An object, or all objects whose keys begin with a key and a slash.

    Parameters
    ----------
    store
        Scheme and bucket: ``s3://bucket``.
    key
        Without slashes at its ends; empty for all that is in the bucket.
    is_object
        Whether it is known to be a single object.
    """

    store: str
    key: str = ""
    is_object: bool = field(default=False, compare=False)

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.store, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"{self.store}/{self.key}" if self.key else self.store

    @property
    def parent(self) -> ObjectPath:
        """What it lies in."""
        return ObjectPath(self.store, self.key.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What its name ends with, from the last dot."""
        return os.path.splitext(self.name)[1]  # noqa: PTH122  # it is no path

    def is_dir(self) -> bool:
        """Whether it stands for all that lies below it, as far as is known."""
        return not self.is_object

    def resolve(self) -> ObjectPath:
        """Return itself: no store has links."""
        return self


Location: TypeAlias = Path | ObjectPath


def location_of(text: str | os.PathLike[str] | ObjectPath) -> Location:
    """Return the place that a user names: a path, or the URL of one or of a place in a store.

    Keys are taken as they are, as other tools for buckets take them; in ``file://`` URLs, percent
    signs stand for bytes.

    Raises
    ------
    UsageError
        If it looks like a URL and is none that is known, or leads through ``.``, ``..`` or nothing.
    """
    if isinstance(text, ObjectPath):
        return text
    found = _URL.fullmatch(os.fspath(text))
    if found is None:
        return Path(text)
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file":
        return _local(rest, str(text))
    if scheme not in SCHEMES:
        raise _no_place(text, f"places are paths, or begin with {', '.join(SCHEMES)} and ://")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise _no_place(text, f"{bucket!r} is no name of a bucket")
    key = key.removesuffix("/")
    if key and not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise _no_place(text, "no part of a key may be empty, . or ..")
    return ObjectPath(f"{scheme}://{bucket}", key)


def url_of(location: Location) -> str:
    """Return the one URL of a place that machines tell each other: ASCII, percent-encoded."""
    from urllib.parse import quote

    if isinstance(location, ObjectPath):
        return str(replace(location, key=quote(location.key)))
    return f"file://{quote(os.fsencode(location))}"


def location_of_url(url: str) -> Location:
    """Return the place of a URL made by `url_of`, which another machine may have sent.

    It is decoded once, and then looked at: what is hidden behind percent signs is seen.

    Raises
    ------
    UsageError
        If it is none.
    """
    from urllib.parse import unquote_to_bytes

    scheme, _, rest = url.partition("://")
    if not rest:
        raise _no_place(url, "it is no URL")
    if scheme != "file":
        bucket, _, key = rest.partition("/")
        try:
            url = f"{scheme}://{bucket}/{unquote_to_bytes(key).decode()}"
        except UnicodeDecodeError:
            raise _no_place(url, "its key is not UTF-8") from None
    location = location_of(url)
    if isinstance(location, Path) and ".." in location.parts:
        raise _no_place(url, "no part of it may be ..")
    if "\0" in str(location):
        raise _no_place(url, "it has a zero byte")
    return location


def lies_in(location: Location, place: Location) -> bool:
    """Whether a place is another, or lies below it, as their names tell.

    Names are compared part by part, so ``s3://bucket-of-others`` does not lie in ``s3://bucket``.
    """
    if isinstance(location, ObjectPath):
        return (
            isinstance(place, ObjectPath)
            and location.store == place.store
            and f"{location.key}/".startswith(f"{place.key}/" if place.key else "")
        )
    return isinstance(place, Path) and location.is_relative_to(place)


def refused_place(urls: Iterable[str], allowed: Sequence[Location]) -> str | None:
    """Return why not all of these places may be touched, as their names tell; None if they may."""
    for url in urls:
        try:
            location = location_of_url(url)
        except UsageError as error:
            return error.sentence
        if not any(lies_in(location, place) for place in allowed):
            places = ", ".join(map(str, allowed)) or "nothing"
            return f"{location} may not be touched by this server, whose --allow lists {places}"
    return None


def _local(rest: str, text: str) -> Path:
    from urllib.parse import unquote_to_bytes

    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise _no_place(text, "the URL of a folder has three slashes: file:///mnt/share")
    return Path(os.fsdecode(b"/" + unquote_to_bytes(path)))


def _no_place(text: object, why: str) -> UsageError:
    return UsageError(Code.BAD_OPTION, f"{text} is no place imgbatch knows: {why}")
