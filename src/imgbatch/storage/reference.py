"""What a ticket tells of an image that it does not bring, or of a result that is not sent back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from imgbatch.errors import Code, FileError, UsageError

LONGEST_URL = 2_000
"""As much as a frame takes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image lies that its ticket does not bring, or where its result is to go, or both.

    Parameters
    ----------
    source, target
        URLs, as `imgbatch.storage.places.url_of` makes them; empty: it comes, or goes, in frames.
    folder
        That of the output folder which the target lies in, if it is a file: it has to be there.
    size_bytes, modified_ns, mode, etag
        What the client saw of the source.
    preserve, overwrite
        How the result is to be written; see `imgbatch.batch.write.OutputPolicy`.
    """

    source: str = ""
    target: str = ""
    folder: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    mode: int = 0
    etag: str = ""
    preserve: bool = True
    overwrite: bool = False

    def to_fields(self) -> dict[str, int | str | bool | None]:
        """Return it as plain values, as frames hold it.

        Raises
        ------
        FileError
            If a URL is longer than a frame takes.
        """
        for url in (self.source, self.target, self.folder):
            if len(url) > LONGEST_URL:
                sentence = f"{url[:80]}… is too long a name to be told to other machines"
                raise FileError(Code.UNREADABLE_FILE, sentence)
        # As text, since not all languages have numbers so large.
        return asdict(self) | {"modified_ns": str(self.modified_ns)}

    @classmethod
    def from_fields(cls, values: Mapping[str, object]) -> Reference:
        """Build a reference from what `to_fields` returned.

        Raises
        ------
        UsageError
            If a field is missing, unknown, or of another type or out of range.
        """
        given: dict[str, Any] = dict(values)
        try:
            if not isinstance(given["modified_ns"], str):
                raise ValueError("modified_ns")
            given["modified_ns"] = int(given["modified_ns"])
            for it in fields(cls):
                if type(given[it.name]) is not type(it.default):
                    raise ValueError(it.name)
            if given["size_bytes"] < 0 or not 0 <= given["mode"] <= 0o7777:
                raise ValueError("size_bytes or mode")
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(Code.BAD_OPTION, f"a ticket's reference is wrong: {error}") from None
