"""What the worker processes of an app do not take along from the peer, and how they end with it.

Pools of processes (multiprocessing, concurrent.futures, joblib) are forked on Linux, so a worker has everything
that the peer has. With the peer's signal handlers it ignores SIGTERM, and its pool waits for it for ever. With the
peer's lock and ports it keeps the home in use and the ports taken when the peer was killed: a lock of flock
belongs to the open file, and lasts as long as any process has it.
"""

import faulthandler
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from pathlib import Path
from typing import Final

__all__ = ["end_workers", "free_workers", "own_places", "owned"]

_END_SECONDS: Final = 5.0
_STDERR: Final = 2
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)

_descriptors: set[int] = set()
_ports: set[int] = set()
_paths: set[str] = set()


@contextmanager
def owned(descriptor: int) -> Iterator[None]:
    """Keep an open file from workers that are forked meanwhile."""
    _descriptors.add(descriptor)
    try:
        yield
    finally:
        _descriptors.discard(descriptor)


def own_places(ports: Iterable[int], path: Path) -> None:
    """Keep from workers all sockets of these TCP ports, and the one that is bound to this path."""
    _ports.update(ports)
    _paths.add(str(path))


def free_workers() -> None:
    """From here on, have forked processes let go of what is the peer's alone."""
    global _is_registered
    if not _is_registered:
        os.register_at_fork(after_in_child=_let_go)
        _is_registered = True


_is_registered = False


def end_workers() -> bool:
    """End the processes that an app left running; return whether no thread keeps this process from ending."""
    workers = active_children()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(_END_SECONDS)
        if worker.is_alive():
            worker.kill()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(_END_SECONDS)
            if thread.is_alive():
                return False
    return True


def _let_go() -> None:
    """In a forked process: signals have their usual effects, and what is the peer's is closed."""
    with suppress(ValueError):  # not in the main thread of an embedding program
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (*_descriptors, *_own_sockets()):
        # The number stays taken: some object here may still close it.
        os.dup2(null, descriptor, inheritable=False)
    os.close(null)
    if faulthandler.is_enabled():
        # Where a worker crashed is no matter of the peer's own run.
        faulthandler.enable(_STDERR)


def _own_sockets() -> list[int]:
    """The open sockets of the peer's own ports and path."""
    found = []
    for name in os.listdir("/dev/fd"):
        with suppress(OSError, ValueError):
            descriptor = int(name)
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _is_own(descriptor):
                found.append(descriptor)
    return found


def _is_own(descriptor: int) -> bool:
    one = socket.socket(fileno=descriptor)
    try:
        place = one.getsockname()
        return place[1] in _ports if one.family in _FAMILIES else place in _paths
    finally:
        one.detach()
