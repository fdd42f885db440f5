"""Ports for servers that tests start."""

import random
import socket


def free_port() -> int:
    """A port that is free, and stays so: none of those that the system gives to connections as they come."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
