"""The addresses of members, kept in the store: after a restart one address that still works is enough."""

from contextlib import suppress
from typing import Final

import msgspec
import trio

from ..home.facts import ADDRESSES
from ..home.store import Store
from ..network.network import Network
from ..network.transport.addresses import BadRecord

BOOK_SECONDS: Final = 1.0


class AddressBook:
    """Keeps the signed addresses that a network knows."""

    def __init__(self, store: Store, network: Network) -> None:
        self._store = store
        self._network = network
        self._kept: bytes | None = None
        """What was written last."""

    def load(self) -> None:
        """Have the network know the addresses that an earlier run kept. A damaged book is left out."""
        book = self._store.fact(ADDRESSES)
        with suppress(BadRecord, msgspec.DecodeError):
            self._network.learn(msgspec.msgpack.decode(book or b"\x90", type=list[bytes]))

    async def run(self) -> None:
        """Keep the addresses each time that they have changed, until cancelled."""
        while True:
            await trio.sleep(BOOK_SECONDS)
            await self._save()

    async def _save(self) -> None:
        book = msgspec.msgpack.encode(self._network.records())
        if book != self._kept:
            await trio.to_thread.run_sync(self._store.keep, ADDRESSES, book)
            self._kept = book
