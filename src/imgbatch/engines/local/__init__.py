"""The engine that runs a batch in processes of this machine."""

from imgbatch.workers import CODECS

WORKER = "imgbatch.engines.local.worker:main"
PRELOAD = ("imgbatch.engines.local.worker", *CODECS)
"""What its fork server imports."""
THUMBNAILS = ("imgbatch.images.display", "cv2")
"""What it imports as well if there are to be thumbnails, in 14 ms."""
