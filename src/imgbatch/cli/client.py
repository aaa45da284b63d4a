"""imgbatch-client: from the command line to what is to be done.

What only a run needs is imported after its workers' fork server has been started: both take about
0.1 s, and there are other cores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, Any

from imgbatch.cli.main import run
from imgbatch.cli.options import CLIENT
from imgbatch.cli.terminal import print_err, print_out
from imgbatch.errors import Code, UsageError

if TYPE_CHECKING:
    from imgbatch.workers.forkserver import ForkServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-client and return its exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    return run(CLIENT, lambda given: _act(given, words), words, interrupted=130)


def _act(given: dict[str, Any], words: Sequence[str]) -> int:
    if given.get("explain"):
        from imgbatch.adjustment import Adjustment
        from imgbatch.cli.explain import explain
        from imgbatch.settings import filled

        print_out(explain(filled(Adjustment, given)))
        return 0
    if given.get("warm_up"):
        return _warm_up()
    if not {"source", "target"} <= given.keys():
        raise UsageError(
            Code.BAD_OPTION,
            "give INPUT and OUTPUT, like: imgbatch-client photos/ out/ --contrast 20 "
            "(--help shows all options)",
        )
    with _started_ahead(given) as ahead:
        from imgbatch.cli.client_run import carry_out, show_plan
        from imgbatch.settings import settings_from

        settings = settings_from(given)
        if given.get("dry_run"):
            return show_plan(settings)
        return carry_out(settings, given, ["imgbatch-client", *words], ahead)


def _warm_up() -> int:
    from imgbatch.errors import EngineError
    from imgbatch_kernels import compiled, warm_up

    problem = compiled.problem()
    if problem is not None:
        raise EngineError(Code.ENGINE_FAILED, problem)
    if not compiled.is_cached():
        print_err("imgbatch-client: compiling the kernels for this processor, once")
    began = time.monotonic()
    warm_up()
    print_out(f"ready after {time.monotonic() - began:.1f} s")
    return 0


def _started_ahead(given: Mapping[str, Any]) -> AbstractContextManager[ForkServer | None]:
    """Start what starts worker processes, if these options are those of a run on this machine."""
    if given.get("broker") or given.get("dry_run"):
        return nullcontext()
    from imgbatch.engines.local import PRELOAD, PRELOAD_THUMBNAILS
    from imgbatch.workers.forkserver import ForkServer

    try:
        return closing(ForkServer(PRELOAD_THUMBNAILS if given.get("html", True) else PRELOAD))
    except OSError:  # which is for the engine to say
        return nullcontext()


if __name__ == "__main__":
    sys.exit(main())
