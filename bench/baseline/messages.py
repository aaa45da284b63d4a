"""JSON messages that hold an OpenCV matrix, and the connections they travel on."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from multiprocessing import Process
from typing import Any

import numpy as np

WORK_QUEUE = "adjustor"
RESULT_EXCHANGE = "adjustor_fin"


def packed(fields: dict[str, Any], image: np.ndarray) -> bytes:
    """Return a message: the fields, and the matrix pickled and in base64."""
    pickled = pickle.dumps(image, protocol=pickle.HIGHEST_PROTOCOL)
    text = base64.b64encode(pickled).decode("ascii")
    return json.dumps({**fields, "image": text}, ensure_ascii=False).encode()


def unpacked(body: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Return the fields and the matrix of a message."""
    fields = json.loads(body)
    return fields, pickle.loads(base64.b64decode(fields.pop("image")))


def connect(url: str, receive: str = "narrow") -> Any:
    """Return a channel of a connection of its own; `wide` lends it imgbatch's receive buffer."""
    import pika
    from pika.adapters.utils import io_services_utils

    if receive == "wide":
        io_services_utils._AsyncTransportBase._MAX_RECV_BYTES = 128 * 1024
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0  # a blocked put must not cost the connection
    return pika.BlockingConnection(parameters).channel()


def open_channel(url: str, receive: str = "narrow") -> Any:
    """Return a channel where the paper's queue and exchange are declared."""
    channel = connect(url, receive)
    channel.queue_declare(WORK_QUEUE, durable=True)
    channel.exchange_declare(RESULT_EXCHANGE, "topic", durable=True)
    return channel


def started(*roles: tuple[Callable[..., None], tuple[Any, ...]]) -> list[Process]:
    """Return a process for each role, a function and its arguments, that ends with ours."""
    children = [Process(target=role, args=arguments, daemon=True) for role, arguments in roles]
    for child in children:
        child.start()
    return children
