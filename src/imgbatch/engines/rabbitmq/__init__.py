"""The engine whose workers are on other machines, reached through RabbitMQ.

The client opens no image here: it streams files to workers and results to files. What becomes of
each image is decided by `imgbatch.protocol.client_session`, who works by `machines`, and when a run
says that nothing moves by `stall`, all without sockets or clocks; `reading` and `writing` move the
bytes; `engine` is the threads around them.
"""

from imgbatch.engines.rabbitmq.engine import RabbitEngine, RabbitOptions

__all__ = ["RabbitEngine", "RabbitOptions"]
