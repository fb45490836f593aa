"""Worker processes of an app: they keep none of the peer's signal handlers, locks and ports, and end with the peer.

Pools of processes (multiprocessing, concurrent.futures, joblib) are forked on Linux, so a worker begins with all that
the peer has. With the peer's signal handlers it would ignore SIGTERM, and its pool would wait for it for ever. With the
peer's lock and ports it would keep the home in use and the ports taken after the peer was killed: a lock of flock
belongs to the open file, and lasts as long as any process has that file open.
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
    """Have workers that are forked while the context lasts close this file."""
    _descriptors.add(descriptor)
    try:
        yield
    finally:
        _descriptors.discard(descriptor)


def own_places(ports: Iterable[int], path: Path) -> None:
    """Have forked workers close all sockets of these TCP ports, and the one that is bound to this path."""
    _ports.update(ports)
    _paths.add(str(path))


def free_workers() -> None:
    """From here on, have forked processes give up what belongs to the peer alone."""
    global _is_registered
    if not _is_registered:
        os.register_at_fork(after_in_child=_let_go)
        _is_registered = True


_is_registered = False


def end_workers() -> bool:
    """End the processes that an app left running; return False if a thread still keeps this process from ending."""
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
    """In a forked process: give signals their usual effects, and close what belongs to the peer."""
    with suppress(ValueError):  # raised outside of the main thread, as in a program that embeds the peer
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (*_descriptors, *_own_sockets()):
        # The number stays in use: an object in this process may still close it.
        os.dup2(null, descriptor, inheritable=False)
    os.close(null)
    if faulthandler.is_enabled():
        # The crash of a worker does not belong in the crash report of the peer.
        faulthandler.enable(_STDERR)


def _own_sockets() -> list[int]:
    """Return the open sockets of the peer's own ports and path."""
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
