"""The large blobs that this peer has on offer while others may still need them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

OFFER_SECONDS: Final = 600.0
"""A blob that nothing renews is withdrawn after this long."""

GRACE_SECONDS: Final = 2.0
"""How long the blobs of a decided step of a round stay on offer for those who are a little behind."""


class Shelf(Protocol):
    """Where blobs are offered: the network."""

    def offer(self, digest: bytes, data: bytes, *, public: bool = False) -> None:
        """Let members, or everybody, pull ``data``."""

    def withdraw(self, digest: bytes) -> None:
        """End one offer."""


@dataclass(slots=True)
class _Offer:
    blob: bytes = field(repr=False)
    until: float
    public: bool


class Stall:
    """Keeps track of what is on the shelf, each blob once."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._offers: dict[bytes, _Offer] = {}

    def known(self, blob: bytes) -> bytes | None:
        """Return the digest of a blob that is on offer already, as the very same object."""
        return next((digest for digest, offer in self._offers.items() if offer.blob is blob), None)

    def put(self, digest: bytes, blob: bytes, public: bool) -> None:
        """Offer a blob, or renew its offer."""
        until = trio.current_time() + OFFER_SECONDS
        earlier = self._offers.get(digest)
        if earlier is not None and (earlier.public or not public):
            earlier.until = until
            return
        self._shelf.offer(digest, blob, public=public)
        if earlier is not None:
            self._shelf.withdraw(digest)
        self._offers[digest] = _Offer(blob, until, public)

    def shorten(self) -> None:
        """A step of the round is decided: what is on offer now goes soon, unless it is renewed."""
        soon = trio.current_time() + GRACE_SECONDS
        for offer in self._offers.values():
            offer.until = min(offer.until, soon)

    async def run(self) -> None:
        """Withdraw what is due, for ever."""
        while True:
            await trio.sleep(GRACE_SECONDS / 2)
            self._withdraw(digest for digest, offer in self._offers.items() if offer.until <= trio.current_time())

    def _withdraw(self, digests: Iterable[bytes]) -> None:
        for digest in list(digests):
            del self._offers[digest]
            self._shelf.withdraw(digest)
