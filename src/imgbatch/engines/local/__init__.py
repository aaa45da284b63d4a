"""The engine that runs a batch in processes of this machine."""

from imgbatch.workers import CODECS

WORKER = "imgbatch.engines.local.worker:main"
PRELOAD = ("imgbatch.engines.local.worker", *CODECS)
"""What its fork server imports."""
