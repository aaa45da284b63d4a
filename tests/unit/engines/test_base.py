from __future__ import annotations

from imgbatch.engines.base import Stop


def test_each_run_has_its_own_stop_and_it_begins_unset() -> None:
    one, other = Stop(), Stop()
    one.gently.set()
    assert not one.now.is_set()
    assert not other.gently.is_set()
