"""Run an iterator in a thread of its own, some items ahead."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

_WAIT = 0.1  # seconds between looks at whether anybody still listens


def ahead(items: Iterable, count: int) -> Iterator:
    """Yield the items, up to `count` of which are made in advance; what they raise is raised here."""
    made: queue.Queue = queue.Queue(count)
    left = threading.Event()

    def put(item) -> None:
        while not left.is_set():
            with suppress(queue.Full):
                return made.put(item, timeout=_WAIT)

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if left.is_set():
                    break
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        left.set()
        thread.join()
