"""Worker processes of this machine: started, watched, given work, ended.

::

    forkserver  one process that has imported what workers need, and forks each of them
    process     what a worker process does first
    status      what a worker has in hand, in memory that it shares with the pool
    pool        the workers of one program: how they start, how long they take, how they end
"""
