"""Whether another peer runs with our key: a copied home, say, whose votes would contradict ours.

Each of two such peers takes the other's address record for a newer one of its own, and publishes one with a higher
number. So each sees answers to the record that it has just published.
"""

from collections.abc import Iterable

import trio

from .transport.addresses import Address


class Doubles:
    """How often another peer with our key was seen, and where it says that it can be reached."""

    def __init__(self) -> None:
        self.count = 0
        self.addresses: tuple[str, ...] = ()
        self._changed = trio.Event()

    def seen(self, addresses: Iterable[Address]) -> None:
        """Note an answer to our address record that we did not give."""
        self.count += 1
        self.addresses = tuple(address.text for address in addresses)
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self, times: int) -> None:
        """Return once that many answers were seen."""
        while self.count < times:
            await self._changed.wait()
