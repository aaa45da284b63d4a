"""Worker processes of this machine: started, watched, given work, ended.

::

    forkserver  one process that has imported what workers need, and forks each of them
    process     what a worker process does first
    status      what a worker has in hand, in memory that it shares with the pool
    pool        the workers of one program: how they start, how long they take, how they end
"""

CODECS = (
    "imgbatch.images.jpeg",
    "imgbatch.images.png",
    "imgbatch.pipeline",
    "imgbatch_kernels.api",
    "imgbatch_kernels.compiled:preload",
    "simplejpeg",
)
"""What workers need for plain JPEG and PNG, for a fork server to import."""
