"""The one place that imports pika: addresses, topology, and connections that keep themselves up.

A `Connection` has a thread of its own. A `Publisher` or a `Consumer` has one connection and uses it
in one direction only: acknowledgements on a connection that also publishes get stuck
behind a memory alarm of the broker (measured on RabbitMQ 3.10 and 4.0), and with them the queue.
"""
