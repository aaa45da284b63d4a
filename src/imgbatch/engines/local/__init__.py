"""The engine that runs a batch in processes of this machine."""

WORKER = "imgbatch.engines.local.worker:main"
PRELOAD = (
    "imgbatch.engines.local.worker",
    "imgbatch.images.jpeg.decode",
    "imgbatch.images.jpeg.encode",
    "imgbatch.images.png",
    "imgbatch.images.png_encode",
    "imgbatch_kernels.api",
    "imgbatch_kernels.compiled:preload",
    "simplejpeg",
)
"""What its workers need for plain JPEG and PNG, to be imported once for all of them."""
