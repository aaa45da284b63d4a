"""What a server reads and writes for others: only what lies in its places, as it sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgbatch.errors import Code, FileError, ImageError, OutputError
from imgbatch.server.references import read_referenced, write_referenced
from imgbatch.storage.places import Location, location_of, refused_place, url_of
from imgbatch.storage.reference import Reference

LARGE = 10**6
OUTSIDE = [
    "another folder", "a look-alike", "dots", "encoded dots", "an encoded slash", "a linked folder",
    "a linked file", "a host", "a bucket", "no URL", "nothing", "a zero byte",
]  # fmt: skip


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder that may be touched, beside one that may not."""
    for name in ("share/photos", "share-evil", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "share" / "photos" / "a.jpg").write_bytes(b"photograph")
    (tmp_path / "share-evil" / "a.jpg").write_bytes(b"secretpict")
    (tmp_path / "secret" / "a.jpg").write_bytes(b"secretpict")
    return tmp_path.resolve() / "share"


def reference(source: str, **changes: Any) -> Reference:
    return Reference(**({"source": source, "size_bytes": 10} | changes))


def seen(path: Path) -> Reference:
    """Return the reference to a file as it is."""
    stat = path.stat()
    fields = {"modified_ns": stat.st_mtime_ns, "mode": stat.st_mode & 0o777}
    return reference(url_of(path), size_bytes=stat.st_size, **fields)


def code_of(caught: pytest.ExceptionInfo[ImageError]) -> Code:
    return caught.value.code


def test_a_file_in_an_allowed_place_is_read(share: Path) -> None:
    data, attributes = read_referenced(seen(share / "photos" / "a.jpg"), [share], LARGE)
    assert (bytes(data), attributes) == (b"photograph", {})


def test_a_result_is_written_in_an_allowed_place(share: Path) -> None:
    target, folder = share / "out" / "deep" / "a.jpg", share / "out"
    folder.mkdir()
    places = {"target": url_of(target), "folder": url_of(folder)}
    wanted = Reference(**places, mode=0o640, modified_ns=1_600_000_000_000_000_000)
    assert write_referenced(wanted, b"brighter", {}, [share], again=False) == 8
    assert target.read_bytes() == b"brighter"
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileError) as caught:
        write_referenced(wanted, b"another", {}, [share], again=False)
    assert code_of(caught) is Code.OUTPUT_EXISTS
    assert write_referenced(wanted, b"again", {}, [share], again=True) == 5


def test_an_output_folder_that_is_not_there_is_not_made(share: Path) -> None:
    """Or results would lie on a machine's own disk where the share is not mounted."""
    target, folder = url_of(share / "out" / "a.jpg"), url_of(share / "out")
    with pytest.raises(OutputError):
        write_referenced(Reference(target=target, folder=folder), b"x", {}, [share], again=False)
    for outside in ("", url_of(share.parent), url_of(share / "photos")):
        with pytest.raises(FileError):
            write_referenced(
                Reference(target=target, folder=outside), b"x", {}, [share], again=False
            )
    assert not (share / "out").exists()


def test_what_is_another_file_by_now_is_not_read(share: Path) -> None:
    path = share / "photos" / "a.jpg"
    before = seen(path)
    path.write_bytes(b"photograph")
    with pytest.raises(FileError) as caught:
        read_referenced(before, [share], LARGE)
    assert code_of(caught) is Code.CHANGED_FILE


def test_a_share_may_be_known_by_a_link(share: Path, tmp_path: Path) -> None:
    (tmp_path / "mnt").symlink_to(share)
    data, _ = read_referenced(seen(tmp_path / "mnt" / "photos" / "a.jpg"), [share], LARGE)
    assert bytes(data) == b"photograph"


def outside(share: Path) -> dict[str, str]:
    """Return URLs that look as if they were in the share, by what makes them look so."""
    (share / "link.jpg").symlink_to(share.parent / "secret" / "a.jpg")
    (share / "linked").symlink_to(share.parent / "secret")
    return {
        "another folder": url_of(share.parent / "secret" / "a.jpg"),
        "a look-alike": url_of(share.parent / "share-evil" / "a.jpg"),
        "dots": f"file://{share}/../secret/a.jpg",
        "encoded dots": f"file://{share}/%2e%2e/secret/a.jpg",
        "an encoded slash": f"file://{share}/..%2fsecret/a.jpg",
        "a linked folder": url_of(share / "linked" / "a.jpg"),
        "a linked file": url_of(share / "link.jpg"),
        "a host": f"file://evil{share}/photos/a.jpg",
        "a bucket": "s3://bucket/a.jpg",
        "no URL": str(share / "photos" / "a.jpg"),
        "nothing": "file://",
        "a zero byte": f"file://{share}/a%00",
    }


@pytest.mark.parametrize("how", OUTSIDE)
def test_nothing_outside_is_read_or_written(share: Path, how: str) -> None:
    url = outside(share)[how]
    with pytest.raises(FileError) as caught:
        read_referenced(reference(url), [share], LARGE)
    assert code_of(caught) is Code.PLACE_REFUSED
    if how == "a linked file":
        # It is replaced, not written through.
        write_referenced(
            Reference(target=url, folder=url_of(share)), b"result", {}, [share], again=True
        )
        assert (share.parent / "secret" / "a.jpg").read_bytes() == b"secretpict"
        return
    with pytest.raises(FileError):
        write_referenced(
            Reference(target=url, folder=url_of(share)), b"result", {}, [share], again=True
        )


@pytest.mark.parametrize("allowed", [[], ["s3://bucket/in"], ["gs://bucket"], ["s3://my-bucket"]])
def test_no_store_is_reached_that_is_not_allowed(allowed: list[str]) -> None:
    places: list[Location] = [location_of(text) for text in allowed]
    for url in ("s3://bucket/secret/a.jpg", "s3://bucket/in-other/a", "s3://my.bucket/a"):
        with pytest.raises(FileError) as caught:
            read_referenced(reference(url), places, LARGE)
        assert code_of(caught) is Code.PLACE_REFUSED


def test_a_run_is_refused_with_what_is_allowed(share: Path) -> None:
    photos, bucket = url_of(share / "photos"), "s3://bucket/in"
    assert refused_place([photos], [share]) is None
    assert refused_place([photos, bucket], [share, location_of("s3://bucket")]) is None
    sentence = refused_place([photos, bucket], [share]) or ""
    assert sentence.startswith("s3://bucket/in may not be touched by this server")
    assert str(share) in sentence
    assert "lists nothing" in (refused_place([photos], []) or "")
