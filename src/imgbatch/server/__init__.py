"""A machine that works for others: a supervisor, and one worker process for each core it lends.

`supervisor` starts and replaces the workers and answers for the machine; `worker` is the threads
around an `imgbatch.protocol.worker_session`, `answers` what they compute. Supervisor and workers
share `messages`, the few messages between them.
"""
