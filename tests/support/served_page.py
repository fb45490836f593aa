"""A page that is served in a thread of its own, as a peer serves it, over the ledger of a home."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import trio

from coterie.peer.home.page_address import PageAddress
from coterie.peer.home.store import Reader
from coterie.peer.page.block_rows import LedgerRows
from coterie.peer.page.history import History
from coterie.peer.page.server import PageServer
from coterie.peer.reporting.status import stored_status

Json = dict[str, Any]
OwnLoss = Callable[[int], float | None]

WAIT_SECONDS = 30.0
"""Longest wait: no measure of speed, only the end of a test that hangs."""


def running_status(folder: Path, me: bytes) -> Json:
    """What the peer of a home would tell if it ran."""
    with Reader.open(folder) as reader:
        status = stored_status(reader, me)
    status |= {"running": True, "name": "peer 0", "home": str(folder), "uptime_seconds": 12.5, "addresses": []}
    status |= {"traffic": {"sent_bytes": 1000, "received_bytes": 2000}, "page": None, "late": [], "faults": {}}
    status |= {"leaving": None, "paused": None, "stalled": None, "waits": None, "abstains": None}
    for row in status["members"]:
        row["connected"] = True
    return status


class Served:
    """A running page server, and what a test does to it from outside."""

    def __init__(
        self, folder: Path, status: Json, port: int = 0, token: str | None = None, own_loss: OwnLoss | None = None
    ) -> None:
        self.status = status
        self.bytes = [0, 0]
        self.history = History(lambda: (self.bytes[0], self.bytes[1]), own_loss=own_loss)
        self.server = PageServer(
            PageAddress("127.0.0.1", port), token, lambda: self.status, self.history, LedgerRows(folder, part_blocks=4)
        )
        self._ready = threading.Event()
        self._trio: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        with self._scope:
            async with self.server.serving() as place:
                self.port = place.port
                self._ready.set()
                await trio.sleep_forever()

    def tell(self, kind: str, text: str, **facts: Any) -> None:
        """Tell what happened, as a peer does."""
        assert self._trio is not None
        trio.from_thread.run_sync(self.server.tell, kind, text, facts, trio_token=self._trio)

    def stop(self) -> None:
        """Stop, as a peer that ends; raises what went wrong meanwhile."""
        if self._trio is not None and self._thread.is_alive():
            self._trio.run_sync_soon(self._scope.cancel)
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    # What a client does.

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask once; return status, headers and body. The name of a header has _ for -."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            link.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()

    def raw(self, data: bytes = b"") -> socket.socket:
        """Return a connection on which something was said."""
        link = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_SECONDS)
        link.sendall(data)
        return link


class Events:
    """A program that follows what happens."""

    def __init__(self, served: Served, last: str | None = None) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", served.port, timeout=WAIT_SECONDS)
        headers = {} if last is None else {"Last-Event-ID": last}
        self._link.request("GET", "/events", headers=headers)
        self.answer = self._link.getresponse()
        self.last = last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.answer.close()
        self._link.close()

    def next(self) -> tuple[str, Json]:
        """Wait for the next event; return its name and data."""
        name, data = "", ""
        while line := self.answer.readline().decode():
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.last = value
            elif not field and name:
                return name, json.loads(data)
        raise EOFError("the stream has ended")

    def until(self, wanted: str) -> Json:
        """Wait for an event of this name; return its data."""
        while True:
            name, data = self.next()
            if name == wanted:
                return data


@contextmanager
def serving(
    folder: Path, status: Json, port: int = 0, token: str | None = None, own_loss: OwnLoss | None = None
) -> Iterator[Served]:
    """Serve while the context lasts."""
    served = Served(folder, status, port, token, own_loss)
    try:
        yield served
    finally:
        served.stop()
