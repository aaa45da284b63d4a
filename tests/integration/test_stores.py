"""What is promised of a store, against a real server of the S3 interface and one that fails."""

from __future__ import annotations

from collections.abc import Iterator

import obstore
import pytest
from tests.support.faulty_http import Fault, FaultyHttp, faulty_http
from tests.support.s3 import Bucket

from imgbatch.errors import Code, EngineError, FileError, ImgbatchError, OutputError
from imgbatch.storage import store
from imgbatch.storage.places import ObjectPath

pytestmark = [pytest.mark.store, pytest.mark.slow]


@pytest.fixture
def folder(bucket: Bucket) -> ObjectPath:
    return ObjectPath(bucket.url, "in")


@pytest.fixture
def faulty(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyHttp]:
    """What stands before the server that `folder` lies on."""
    with faulty_http(bucket.server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setattr(store, "FIRST_PAUSE_SECONDS", 0.01)
        store._opened.cache_clear()
        yield proxy


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What waiting was told of."""
    reasons: list[str] = []
    monkeypatch.setattr(store, "on_waiting", reasons.append)
    return reasons


def code_of(caught: pytest.ExceptionInfo[ImgbatchError]) -> Code:
    return caught.value.code


def test_what_is_written_is_listed_and_read(bucket: Bucket, folder: ObjectPath) -> None:
    names = [
        "ä b%20#?.jpg",
        "deep/a+b.jpg",
        "[x]{}~^.jpg",
        "<&>'\".jpg",
        "\U0001f600.jpg",
        "p%2e%2e",
    ]
    for name in names:
        store.write(folder / name, name.encode(), {"Content-Type": "image/jpeg"}, overwrite=False)
    bucket.put("in-other/a.jpg", b"not listed")
    listed = {it.name: it for it in store.objects_below(folder)}
    assert listed.keys() == set(names)
    for name, stored in listed.items():
        data, attributes = store.read(folder / name, stored.etag)
        assert bytes(data) == name.encode()
        assert data.readonly
        assert stored.size_bytes == len(data)
        assert attributes == {"Content-Type": "image/jpeg"}
        assert store.look_at(folder / name) == store.Stored(
            name.rpartition("/")[2], stored.size_bytes, stored.modified_ns, stored.etag
        )
    assert store.read_head(folder / names[0], 2) == names[0].encode()[:2]


def test_an_object_that_is_another_by_now_is_not_read(bucket: Bucket, folder: ObjectPath) -> None:
    bucket.put("in/a.jpg", b"one")
    (stored,) = store.objects_below(folder)
    bucket.put("in/a.jpg", b"two")
    with pytest.raises(FileError) as caught:
        store.read(folder / "a.jpg", stored.etag)
    assert code_of(caught) is Code.CHANGED_FILE
    bucket.delete("in/a.jpg")
    with pytest.raises(FileError) as caught:
        store.read(folder / "a.jpg", stored.etag)
    assert code_of(caught) is Code.UNREADABLE_FILE
    assert store.look_at(folder / "a.jpg") is None


def test_an_object_is_not_replaced_also_where_there_are_no_conditions(
    bucket: Bucket, folder: ObjectPath
) -> None:
    store._without_conditions.clear()
    for _ in range(2):  # the second time it is known that this server has none
        bucket.put("in/a.jpg", b"mine")
        with pytest.raises(FileError) as caught:
            store.write(folder / "a.jpg", b"new", {}, overwrite=False)
        assert code_of(caught) is Code.OUTPUT_EXISTS
        assert bucket.get("in/a.jpg") == b"mine"
        store.write(folder / "b.jpg", b"new", {}, overwrite=False)
        assert bucket.get("in/b.jpg") == b"new"
        bucket.delete("in/b.jpg")
    store.write(folder / "a.jpg", b"new", {}, overwrite=True)
    assert bucket.get("in/a.jpg") == b"new"


def test_conditions_are_used_where_a_store_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = obstore.store.MemoryStore()
    monkeypatch.setattr(store, "_opened", lambda _name: memory)
    path = ObjectPath("s3://memory", "a.jpg")
    monkeypatch.setattr(store, "look_at", None)
    store.write(path, b"first", {}, overwrite=False)
    with pytest.raises(FileError) as caught:
        store.write(path, b"second", {}, overwrite=False)
    assert code_of(caught) is Code.OUTPUT_EXISTS
    assert bytes(store.read(path)[0]) == b"first"


@pytest.mark.parametrize("name", ["a\nb", "../a", "a//b", "caf\udce9", "a" * 1500])
def test_a_name_that_can_be_no_key_costs_only_its_file(folder: ObjectPath, name: str) -> None:
    with pytest.raises(FileError) as caught:
        store.write(folder / name, b"x", {}, overwrite=True)
    assert code_of(caught) is Code.OUTPUT_UNWRITABLE


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.CUT])
def test_what_may_pass_is_tried_again_and_counts_as_waiting(
    faulty: FaultyHttp, folder: ObjectPath, told: list[str], fault: Fault
) -> None:
    faulty.faults = [fault] * 3
    store.write(folder / "a.jpg", b"photograph", {}, overwrite=True)
    faulty.faults = [fault] * 2
    assert [it.name for it in store.objects_below(folder)] == ["a.jpg"]
    faulty.faults = [fault]
    assert bytes(store.read(folder / "a.jpg")[0]) == b"photograph"
    assert faulty.faults == []
    reason = "it answers 503 SlowDown" if fault is Fault.SLOW_DOWN else "the connection failed"
    once = f"waiting for {folder.store}: {reason}"
    assert told == [once, once, once, "", once, once, "", once, ""]


def test_an_answer_that_breaks_off_is_read_again(
    faulty: FaultyHttp, folder: ObjectPath, bucket: Bucket
) -> None:
    bucket.put("in/a.jpg", bytes(range(256)) * 1000)
    faulty.faults = [Fault.HALF] * 2
    assert bytes(store.read(folder / "a.jpg")[0]) == bytes(range(256)) * 1000
    assert faulty.faults == []


def test_slow_bytes_are_no_fault(
    faulty: FaultyHttp, folder: ObjectPath, bucket: Bucket, told: list[str]
) -> None:
    bucket.put("in/a.jpg", bytes(range(256)) * 1000)
    faulty.faults = [Fault.SLOW]
    assert bytes(store.read(folder / "a.jpg")[0]) == bytes(range(256)) * 1000
    assert told == []


def test_an_object_that_comes_with_another_etag_is_not_taken(
    faulty: FaultyHttp, folder: ObjectPath, bucket: Bucket
) -> None:
    """As by a store that passes over conditions."""
    bucket.put("in/a.jpg", b"photograph")
    (stored,) = store.objects_below(folder)
    faulty.faults = [Fault.OTHER_ETAG]
    with pytest.raises(FileError) as caught:
        store.read(folder / "a.jpg", stored.etag)
    assert code_of(caught) is Code.CHANGED_FILE


def test_a_listing_goes_on_behind_the_last_page_that_came(
    faulty: FaultyHttp, folder: ObjectPath, bucket: Bucket
) -> None:
    names = [f"{number:02}.jpg" for number in range(17)]  # the server's pages hold five
    for name in names:
        bucket.put(f"in/{name}", b"x")
    faulty.chosen = lambda _method, path: "continuation-token" in path or "start-after" in path
    faulty.faults = [Fault.SLOW_DOWN, Fault.CUT, Fault.SLOW_DOWN]
    assert [it.name for it in store.objects_below(folder)] == names
    assert faulty.faults == []


def test_a_store_that_stays_away_ends_the_run_and_tells_no_secret(
    faulty: FaultyHttp, folder: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.2)
    faulty.faults = [Fault.SLOW_DOWN] * 1000
    with pytest.raises(EngineError) as caught:
        store.read(folder / "a.jpg")
    assert code_of(caught) is Code.STORAGE_UNREACHABLE
    assert "503 SlowDown" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_credentials_that_are_refused_end_the_run_and_stay_secret(
    bucket: Bucket, folder: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    store._opened.cache_clear()
    for attempt in (
        lambda: list(store.objects_below(folder)),
        lambda: store.read(folder / "a.jpg"),
        lambda: store.write(folder / "a.jpg", b"x", {}, overwrite=True),
    ):
        with pytest.raises(EngineError) as caught:
            attempt()
        assert code_of(caught) is Code.STORAGE_REFUSED
        assert "SignatureDoesNotMatch" in str(caught.value)
        assert "AWS_SECRET_ACCESS_KEY" in str(caught.value)
        assert "wrong-secret" not in repr(caught.value)
        assert "test:tester" not in repr(caught.value)


def test_a_bucket_that_is_not_there_ends_the_run(folder: ObjectPath) -> None:
    gone = ObjectPath(f"{folder.store}-gone", "in")
    with pytest.raises(EngineError) as caught:
        list(store.objects_below(gone))
    assert "NoSuchBucket" in str(caught.value)
    with pytest.raises(OutputError):
        store.write(gone / "a.jpg", b"x", {}, overwrite=True)


def test_keys_come_from_the_aws_tools_files_if_the_environment_has_none(
    bucket: Bucket, folder: ObjectPath, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    bucket.put("in/a.jpg", b"x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = wrong\n"
        "[photos]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n"
    )
    (tmp_path / "config").write_text(
        "[profile photos]\nregion = us-east-1\n"
        f"endpoint_url = http://127.0.0.1:{bucket.server.port}\noutput = json\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "photos")
    store._opened.cache_clear()
    assert [it.name for it in store.objects_below(folder)] == ["a.jpg"]
