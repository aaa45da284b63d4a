"""The engine that runs a batch in processes of this machine."""

from imgbatch.workers import CODECS

WORKER = "imgbatch.engines.local.worker:main"
PRELOAD = ("imgbatch.engines.local.worker", *CODECS)
"""What its fork server imports."""
PRELOAD_THUMBNAILS = (*PRELOAD, "imgbatch.images.display", "cv2")
"""What it imports if there are to be thumbnails, which takes 14 ms more."""
