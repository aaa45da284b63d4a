"""What tickets name instead of bringing it: images and results that a server reads and writes.

A server touches only what lies in the places that it was told, as it sees them itself. Names come
from other machines: they are decoded, links are followed, and only then they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imgbatch.batch.model import Job
from imgbatch.batch.write import OutputPolicy, read_source, write_output
from imgbatch.buffer import Buffer
from imgbatch.errors import Code, FileError, UsageError
from imgbatch.storage.places import Location, lies_in, location_of_url, refused_place, url_of
from imgbatch.storage.reference import Reference
from imgbatch.storage.store import Attributes


def read_referenced(
    reference: Reference, allowed: Sequence[Location], max_bytes: int
) -> tuple[Buffer, Attributes]:
    """Return the image that a ticket names, and the attributes that an object has.

    Raises
    ------
    ImageError
        If it is not in a place that is allowed, is not what the client saw, or can't be read.
    EngineError
        If a store can't be reached, or refuses.
    """
    source, place = _within(reference.source, allowed)
    folder = place if isinstance(place, Path) else None
    return read_source(_job(reference, source, source), max_bytes, folder)


def write_referenced(
    reference: Reference,
    data: Buffer,
    attributes: Attributes,
    allowed: Sequence[Location],
    *,
    again: bool,
) -> int:
    """Write a result where a ticket wants it, and return its size in bytes.

    Parameters
    ----------
    again
        Another worker may have written it already.

    Raises
    ------
    FileError
        If that is not in a place that is allowed, or this one result can't be written.
    EngineError
        If nothing can be written there.
    """
    target, folder = _within(reference.target, allowed)[0], None
    if isinstance(target, Path):
        # Which is never made here: where the share is not mounted, it would be this machine's own.
        folder = Path(str(_within(reference.folder, allowed)[0]))
    policy = OutputPolicy(reference.preserve, reference.overwrite or again, folder)
    return write_output(_job(reference, target, target), data, policy, attributes)


def _within(url: str, allowed: Sequence[Location]) -> tuple[Location, Location]:
    """Return the place of a URL, free of links, and the allowed one that it lies in."""
    try:
        location = location_of_url(url)
        if isinstance(location, Path):
            # Of the last part, which may be replaced at any time, reading and writing make sure.
            location = location.parent.resolve() / location.name
    except (UsageError, OSError, RuntimeError) as error:
        raise FileError(Code.PLACE_REFUSED, f"{url} is no place: {error}") from None
    why = refused_place([url_of(location)], allowed)
    if why is not None:
        raise FileError(Code.PLACE_REFUSED, why)
    return location, next(place for place in allowed if lies_in(location, place))


def _job(reference: Reference, source: Location, target: Location) -> Job:
    seen = reference.size_bytes, reference.modified_ns, reference.mode
    return Job(0, source, target, *seen, etag=reference.etag)
