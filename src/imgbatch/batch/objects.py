"""The files of a run that lie in an object store, and what lies already where results go."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

from imgbatch.batch.model import Failure
from imgbatch.batch.scan import Found, Selection
from imgbatch.errors import Code, FileError
from imgbatch.storage.places import Location, ObjectPath, lies_in
from imgbatch.storage.store import Stored, look_at, objects_below, write

_KINDS = {".json": "application/json", ".csv": "text/csv", ".html": "text/html"}
_WATCH_SECONDS = 5.0
_TURN_SECONDS = 0.2
_LOOKS_AT_ONCE = 16
_NAMES_AT_ONCE = 256


def known_object(root: ObjectPath) -> ObjectPath | None:
    """Return an input with whether it is a single object; None if nothing is there."""
    if next(objects_below(root), None) is not None:
        return root
    return replace(root, is_object=True) if root.key and look_at(root) is not None else None


def list_found(root: ObjectPath, selection: Selection, left_out: Location) -> Iterator[Found]:
    """Yield each object below `root` that is taken, or `root` itself if it is one.

    Parameters
    ----------
    left_out
        Where results go; what lies there is none of the run's input.
    """
    if root.is_object:
        yield _look_up(root.parent, root.name)
        return
    for stored in objects_below(root):
        name = stored.name
        if selection.takes_path(name) and not lies_in(root / name, left_out):
            yield _found(stored, name)


def look_up_names(root: ObjectPath, names: Iterable[str]) -> Iterator[Found]:
    """Yield the objects that a list names, by keys below `root` or by whole URLs."""
    listed = iter(names)
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        while some := list(islice(listed, _NAMES_AT_ONCE)):
            below = (name.removeprefix(f"{root}/") for name in some)
            yield from pool.map(partial(_look_up, root), below)


def watch(
    root: ObjectPath, selection: Selection, left_out: Location, known: Callable[[Found], bool]
) -> Iterator[Found | None]:
    """Yield objects for ever, as `imgbatch.batch.watch` does files; one appears complete."""
    while True:
        for found in list_found(root, selection, left_out):
            yield None if known(found) else found
        again_seconds = time.monotonic() + _WATCH_SECONDS
        while time.monotonic() < again_seconds:
            yield None
            time.sleep(_TURN_SECONDS)


def put_files(paths: Iterable[Path], place: ObjectPath) -> None:
    """Copy files of a report into a store.

    Raises
    ------
    FileError, EngineError
        If one can't be written there.
    """
    for path in paths:
        kind = _KINDS.get(path.suffix, "text/plain")
        write(place / path.name, path, {"Content-Type": kind}, overwrite=True)


class Inventory:
    """What lies below an output place.

    A folder is looked at name by name. A place in a store is listed, once, when it is first asked
    for: into a temporary database, of which two megabytes are in memory.
    """

    def __init__(self, place: Location) -> None:
        self.place = place

    def is_empty(self) -> bool:
        """Whether nothing lies there."""
        if isinstance(self.place, Path):
            return not any(self.place.glob("*"))
        return next(objects_below(self.place), None) is None

    def size_of(self, name: str) -> int | None:
        """Return the size of what has a name there; None if nothing has."""
        if isinstance(self.place, Path):
            path = self.place / name
            try:
                return path.stat().st_size
            except OSError:
                return -1 if os.path.lexists(path) else None
        query = "SELECT size_bytes FROM listed WHERE name = ?"
        row = self._listed.execute(query, (os.fsencode(name),)).fetchone()
        return None if row is None else int(row[0])

    @cached_property
    def _listed(self) -> sqlite3.Connection:
        assert isinstance(self.place, ObjectPath)
        connection = sqlite3.connect("", check_same_thread=False)
        connection.execute(
            "CREATE TABLE listed (name BLOB PRIMARY KEY, size_bytes INTEGER) WITHOUT ROWID"
        )
        rows = ((os.fsencode(it.name), it.size_bytes) for it in objects_below(self.place))
        connection.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?)", rows)
        return connection


def _look_up(base: ObjectPath, name: str) -> Found:
    path = base / name
    try:
        stored = look_at(path)
    except FileError as error:
        return Found(name, failure=Failure.of(error))
    if stored is None:
        sentence = f"{path} can't be read: there is no such object"
        return Found(name, failure=Failure(Code.UNREADABLE_FILE, sentence))
    return _found(stored, name)


def _found(stored: Stored, name: str) -> Found:
    return Found(name, stored.size_bytes, stored.modified_ns, etag=stored.etag)
