from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# Worker processes import nothing from the working directory unless it is named here, and some
# tests have them run functions of tests.support.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")))
)

# A busy machine is no failure: nothing here asserts how long an example takes.
settings.register_profile("imgbatch", deadline=None)
settings.load_profile("imgbatch")
