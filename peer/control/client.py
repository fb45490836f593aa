"""How other programs of the same user talk to a running peer: JSON lines over a unix socket in its home.

A request is one line, ``{"do": "status"}``; so is the answer, ``{"ok": true, ...}`` or ``{"ok": false, "error": "...",
"code": 10}``. ``{"do": "watch"}`` is answered by a line for every event until one side closes. The socket has mode
0600, so that only the peer's own user can connect. This module is the side that asks; :mod:`.server` answers.
"""

import json
import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ..errors import Exit, PeerError

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
ANSWER_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.02
_MAX_PATH_BYTES: Final = 100
"""A unix socket's path has room for 104 bytes on some systems and 108 on others."""

Json = dict[str, Any]


class NotRunning(PeerError):
    """No peer answers in this home."""

    code = Exit.NOT_RUNNING


def ask(path: Path, request: Json) -> Json:
    """Send one request to the peer whose control socket is ``path``; return its answer.

    Raises:
        NotRunning: no peer answers there.
        PeerError: the peer refused; message and exit code are those of its answer.
    """
    for answer in follow(path, request):
        if not answer.get("ok"):
            raise PeerError(str(answer.get("error")), Exit(answer.get("code", Exit.USAGE)))
        return answer
    raise NotRunning(f"{path.parent}: the peer ended before it answered")


def follow(path: Path, request: Json) -> Iterator[Json]:
    """Send one request and yield every line that comes back, until the peer closes the connection.

    Raises:
        NotRunning: no peer answers there.
    """
    with _connected(path) as connection:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise NotRunning(f"{path.parent}: the peer ended before it was asked") from None
        if request.get("do") == "watch":
            connection.settimeout(None)
        with connection.makefile("rb") as lines:
            try:
                while line := lines.readline(MAX_LINE_BYTES):
                    yield json.loads(line)
            except (OSError, ValueError):
                raise NotRunning(f"{path.parent}: the peer did not answer; is it frozen?") from None


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            with short_path(path) as address:
                _connect(connection, address)
        except OSError as error:
            raise NotRunning(_no_peer(path.parent, error)) from None
        yield connection


def _no_peer(folder: Path, error: OSError) -> str:
    """Say that no peer runs in a home, and what to type; with the system's reason if that is an unusual one."""
    if not folder.is_dir():
        return f"{folder}: no peer runs in this home: there is no such folder; give another --home"
    # A peer that was stopped leaves no socket; one that was killed leaves a socket on which nobody listens.
    is_stopped = isinstance(error, FileNotFoundError | ConnectionRefusedError)
    why = "" if is_stopped else f" ({error.strerror or error})"
    return f"{folder}: no peer runs in this home{why}; start it with `peer start --home {shlex.quote(str(folder))}`"


def _connect(connection: socket.socket, address: str) -> None:
    """Connect, and try again while too many others connect at once: the system refuses then instead of waiting."""
    give_up = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return connection.connect(address)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_SECONDS)


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a path that leads to ``path`` and fits into a socket address, valid while the context lasts.

    Raises:
        PeerError: the path is too long, and this system offers no shorter one.
    """
    if len(os.fsencode(path)) < _MAX_PATH_BYTES:
        yield str(path)
        return
    if not os.path.isdir("/proc/self/fd"):
        raise PeerError(f"{path}: the path is too long for a socket; choose a shorter --home", Exit.HOME)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
