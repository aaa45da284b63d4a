"""A machine that works for others: a supervisor, and one worker process for each core it lends.

`supervisor` starts and replaces the workers and answers for the machine; `worker` holds tickets
and computes. They share `messages`, the few messages between them.
"""
