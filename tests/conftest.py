from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.support.s3 import Bucket, S3Server, new_bucket, shared_s3

# Worker processes import nothing from the working directory unless it is named here, and some
# tests have them run functions of tests.support.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")))
)

# A busy machine is no failure: nothing here asserts how long an example takes.
settings.register_profile("imgbatch", deadline=None)
settings.load_profile("imgbatch")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A server of object storage; see `tests.support.s3`."""
    with shared_s3() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which the environment tells this process and its children how to reach."""
    from imgbatch.storage import store

    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    store._opened.cache_clear()
    return new_bucket(s3)
