from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgbatch.errors import Code, UsageError
from imgbatch.storage.places import (
    Location,
    ObjectPath,
    lies_in,
    location_of,
    location_of_url,
    url_of,
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("photos/2024", Path("photos/2024")),
        ("/mnt/share/", Path("/mnt/share")),
        ("s3:/odd/but/a/path", Path("s3:/odd/but/a/path")),
        ("file:///mnt/share%20a", Path("/mnt/share a")),
        ("file://localhost/mnt", Path("/mnt")),
        ("s3://bucket", ObjectPath("s3://bucket")),
        ("S3://bucket/", ObjectPath("s3://bucket")),
        ("s3://my.bucket.of-2024/in/deep/", ObjectPath("s3://my.bucket.of-2024", "in/deep")),
        ("gs://bucket/a?b#c%20d", ObjectPath("gs://bucket", "a?b#c%20d")),
        ("az://container/ä", ObjectPath("az://container", "ä")),
    ],
)
def test_paths_and_urls_name_places(text: str, place: Location) -> None:
    assert location_of(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "http://bucket/in", "s3://", "s3:///in", "s3://b", "s3://a..b/in", "s3://user@host/in",
        "s3://buck et/in", "s3://bucket/a//b", "s3://bucket/../other", "s3://bucket/./a",
        "s3://bucket//a", "file://host/mnt", "file://mnt",
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        location_of(text)
    assert caught.value.code is Code.BAD_OPTION


@pytest.mark.parametrize(
    ("inside", "place"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a", "s3://bucket"),
        ("s3://bucket/a/b", "s3://bucket/a"),
        ("/mnt/share/a", "file:///mnt/share"),
    ],
)
def test_what_lies_in_a_place(inside: str, place: str) -> None:
    assert lies_in(location_of(inside), location_of(place))


@pytest.mark.parametrize(
    ("outside", "place"),
    [
        ("s3://bucket-evil/a", "s3://bucket"),
        ("s3://bucket.evil/a", "s3://bucket"),
        ("s3://my.bucket", "s3://my-bucket"),
        ("s3://Bucket/a", "s3://bucket"),
        ("gs://bucket/a", "s3://bucket"),
        ("s3://bucket/photos-evil/a", "s3://bucket/photos"),
        ("s3://bucket/photos%2fa", "s3://bucket/photos"),
        ("s3://bucket", "s3://bucket/photos"),
        ("/mnt/share-evil/a", "/mnt/share"),
        ("/mnt/share", "s3://bucket"),
        ("s3://bucket/mnt", "/mnt"),
    ],
)
def test_what_only_looks_so_lies_elsewhere(outside: str, place: str) -> None:
    assert not lies_in(location_of(outside), location_of(place))


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/photos/%2e%2e/secret", "s3://bucket/photos/..%2fsecret", "s3://bucket/a%2f%2fb",
        "file:///mnt/share/%2e%2e/secret", "file:///mnt/share/../secret", "file:///mnt/a%00b", "s3://bucket/%00",
        "s3://bucket/%ff", "/mnt/share", "s3:", "s3://buck%65t/a", "http://bucket/a",
    ],
)  # fmt: skip
def test_what_hides_behind_percent_signs_is_seen(url: str) -> None:
    with pytest.raises(UsageError):
        location_of_url(url)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_a_place_survives_being_told_to_another_machine(name: str) -> None:
    assume({"", ".", ".."}.isdisjoint(name.split("/")))
    for place in (ObjectPath("s3://bucket", name), Path("/mnt", name)):
        url = url_of(place)
        assert url.isascii()
        assert url.isprintable()
        assert location_of_url(url) == place


def test_a_file_s_name_need_not_be_utf_8() -> None:
    path = Path("/mnt/caf\udce9.jpg")
    assert location_of_url(url_of(path)) == path
