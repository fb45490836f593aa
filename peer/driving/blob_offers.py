"""The large blobs that this peer offers while others may still need them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

OFFER_SECONDS: Final = 600.0
"""A blob that nothing renews is withdrawn after this long."""

GRACE_SECONDS: Final = 2.0
"""How long the blobs of a decided step of a round stay on offer for members that are a little behind."""


class Shelf(Protocol):
    """The place where blobs are offered: the network."""

    def offer(self, digest: bytes, data: bytes, *, public: bool = False) -> None:
        """Let members pull ``data``; if it is ``public``, everybody."""

    def withdraw(self, digest: bytes) -> None:
        """End one offer."""


@dataclass(slots=True)
class _Offer:
    blob: bytes = field(repr=False)
    until: float
    public: bool


class BlobOffers:
    """Keeps track of what is on offer, each blob once."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._offers: dict[bytes, _Offer] = {}

    def known(self, blob: bytes) -> bytes | None:
        """Return the digest of a blob if this very object is on offer already; otherwise None."""
        return next((digest for digest, offer in self._offers.items() if offer.blob is blob), None)

    def put(self, digest: bytes, blob: bytes, public: bool) -> None:
        """Offer a blob, or renew its offer."""
        until = trio.current_time() + OFFER_SECONDS
        earlier = self._offers.get(digest)
        if earlier is not None and (earlier.public or not public):
            earlier.until = until
            return
        self._shelf.offer(digest, blob, public=public)
        # An offer that becomes public replaces the earlier one, which ends only now.
        if earlier is not None:
            self._shelf.withdraw(digest)
        self._offers[digest] = _Offer(blob, until, public)

    def shorten(self) -> None:
        """Let all present offers end soon unless they are renewed: a step of the round is decided."""
        soon = trio.current_time() + GRACE_SECONDS
        for offer in self._offers.values():
            offer.until = min(offer.until, soon)

    async def run(self) -> None:
        """Withdraw offers at their end, until cancelled."""
        while True:
            await trio.sleep(GRACE_SECONDS / 2)
            self._withdraw(digest for digest, offer in self._offers.items() if offer.until <= trio.current_time())

    def _withdraw(self, digests: Iterable[bytes]) -> None:
        for digest in list(digests):
            del self._offers[digest]
            self._shelf.withdraw(digest)
