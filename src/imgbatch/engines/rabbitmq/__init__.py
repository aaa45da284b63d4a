"""The engine whose workers are on other machines, reached through RabbitMQ.

The client opens no image here: it streams files to workers and results to files. `offers` knows
what became of each image that was offered, `machines` who works, both without sockets or clocks;
`sending` and `receiving` move the bytes; `engine` ties them to the broker.
"""

from imgbatch.engines.rabbitmq.engine import RabbitEngine, RabbitOptions

__all__ = ["RabbitEngine", "RabbitOptions"]
