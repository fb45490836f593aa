"""Which peers to dial, and when: a task for each member that we want a link to, and for each address without a name.

Of two members the one with the lower id dials, so that there is one connection and not two. The other one waits a
little longer before it tries, in case the first cannot reach it. Delays double from FIRST_BACKOFF_SECONDS to
LAST_BACKOFF_SECONDS, with jitter. News of a member (a new address) starts them over, though not more often than once in
LAST_BACKOFF_SECONDS.
"""

import logging
import math
import random
from collections.abc import Iterable
from typing import Final, Protocol

import trio

from .limits.rate_limit import TokenBucket
from .link import Link
from .transport.addresses import Address
from .transport.host import DialedOurselves, DialError

MAX_DIALS: Final = 8
MAX_DIALS_PER_MINUTE: Final = 60
"""Dials to the addresses that one member names, in the long run; half of it at once."""

MAX_SUGGESTION_DIALS: Final = 2
"""Suggestions that are tried at a time. They are apart from the dials to members, which do not wait for them."""

MAX_SUGGESTIONS: Final = 32
"""Addresses found by discovery that wait to be dialled; more are dropped, and found again."""

FIRST_BACKOFF_SECONDS: Final = 0.3
LAST_BACKOFF_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 3.0
"""How long the member with the higher id leaves dialling to the other."""

_SETTLED_SECONDS: Final = 30.0
_NEXT_ADDRESS_SECONDS: Final = 0.5

log = logging.getLogger("coterie.network")


class Roads(Protocol):
    """What the dialler needs of the network."""

    member: bytes

    def link_to(self, member: bytes) -> Link | None:
        """The link that is up to `member`."""

    def addresses_of(self, member: bytes) -> list[Address]:
        """Where `member` says that it can be reached."""

    def is_member(self, member: bytes) -> bool:
        """Whether we want a link to `member` for as long as we run."""

    async def dial(self, address: Address, told: bool = False) -> Link | None:
        """Dial an address. Returns the link that begins, which is not up yet; None if the connection was not kept.

        `told`: a record named the address, not our user. Raises DialError.
        """

    def unreachable(self, address: Address, reason: str) -> None:
        """Report that an address that our user gave does not answer."""


class Backoff:
    """Delays that double, each shortened by a random part so that peers do not act in step."""

    def __init__(self) -> None:
        self._next = FIRST_BACKOFF_SECONDS

    def reset(self) -> None:
        """Start over."""
        self._next = FIRST_BACKOFF_SECONDS

    def delay(self) -> float:
        """The next delay, in seconds."""
        delay, self._next = self._next, min(2 * self._next, LAST_BACKOFF_SECONDS)
        return delay * random.uniform(0.5, 1.0)


class _Target:
    def __init__(self) -> None:
        self.news = trio.Event()
        self.hints: list[Address] = []
        self.trouble = ""
        self.dials = TokenBucket(MAX_DIALS_PER_MINUTE / 60, MAX_DIALS_PER_MINUTE / 2)
        self.restarted = -math.inf

    def poke(self) -> None:
        self.news.set()
        self.news = trio.Event()


class Dialler:
    """Keeps links to members up, as far as that depends on us."""

    def __init__(self, roads: Roads, nursery: trio.Nursery) -> None:
        self._roads = roads
        self._nursery = nursery
        self._targets: dict[bytes, _Target] = {}
        self._suggested: set[Address] = set()
        self._slots = trio.CapacityLimiter(MAX_DIALS)
        self._suggestion_slots = trio.CapacityLimiter(MAX_SUGGESTION_DIALS)

    def want(self, member: bytes) -> None:
        """Keep a link to `member` up from now on, for as long as it is a member. If we do already, it has news."""
        target = self._targets.get(member)
        if target is not None:
            target.poke()
        elif member != self._roads.member and self._roads.is_member(member):
            self._start(member, [])

    def want_address(self, address: Address) -> None:
        """Keep a link to the peer at an address that our user gave."""
        if address.member is None:
            self._nursery.start_soon(self._keep_address, address)
        elif address.member == self._roads.member:
            return
        elif address.member in self._targets:
            self._targets[address.member].hints.append(address)
            self._targets[address.member].poke()
        else:
            self._start(address.member, [address])

    def suggest(self, address: Address) -> None:
        """Dial an address once, unless we are connected to its member, or trying that already."""
        member = address.member
        known = member is not None and (
            member == self._roads.member or member in self._targets or self._roads.link_to(member) is not None
        )
        if not known and address not in self._suggested and len(self._suggested) < MAX_SUGGESTIONS:
            self._suggested.add(address)
            self._nursery.start_soon(self._try_suggestion, address)

    async def _try_suggestion(self, address: Address) -> None:
        try:
            async with self._suggestion_slots:
                link = await self._roads.dial(address)
            if link is not None:
                await link.settled.wait()
        except DialError as error:
            log.debug("suggested address: %s", error)
        finally:
            self._suggested.discard(address)

    def link_changed(self, member: bytes) -> None:
        """A link to `member` came up."""
        if member in self._targets:
            self._targets[member].poke()

    def trouble(self, member: bytes) -> str:
        """Why the last attempt to reach `member` failed."""
        return self._targets[member].trouble if member in self._targets else ""

    def _start(self, member: bytes, hints: list[Address]) -> None:
        target = self._targets[member] = _Target()
        target.hints = hints
        self._nursery.start_soon(self._keep_link, member, target)

    async def _keep_link(self, member: bytes, target: _Target) -> None:
        backoff = Backoff()
        we_dial = self._roads.member < member
        while self._roads.is_member(member) or target.hints:
            link = self._roads.link_to(member)
            if link is not None:
                await _outlive(link, backoff)
                continue
            patience = 0.0 if we_dial or target.hints else PATIENCE_SECONDS
            if await self._has_fresh_news(member, target, backoff.delay() + patience):
                backoff.reset()
                if not we_dial:
                    continue
            if self._roads.link_to(member) is None:
                await self._try(member, target)
        del self._targets[member]

    async def _has_fresh_news(self, member: bytes, target: _Target, seconds: float) -> bool:
        """Wait for so long, or until there is a link or news. News that come too soon after others do not count.

        Otherwise a member that names new addresses again and again would have all others dial them without a pause.
        """
        is_fresh = False
        with trio.move_on_after(seconds):
            while not is_fresh:
                await target.news.wait()
                now = trio.current_time()
                is_fresh = self._roads.link_to(member) is not None
                if not is_fresh and now - target.restarted >= LAST_BACKOFF_SECONDS:
                    is_fresh, target.restarted = True, now
        return is_fresh

    async def _try(self, member: bytes, target: _Target) -> None:
        now = trio.current_time()
        known = [
            Address(address.text, member)
            for address in self._roads.addresses_of(member)
            if address.text not in [hint.text for hint in target.hints] and target.dials.take(now)
        ]
        addresses = [*((address, True) for address in known), *((hint, False) for hint in target.hints)]
        if not addresses:
            known_ones = self._roads.addresses_of(member)
            target.trouble = "its addresses were dialled too often" if known_ones else "no address known"
            return
        async with self._slots:
            link, troubles = await self._race(addresses)
        if link is not None:
            await link.settled.wait()
            target.trouble = "" if link.up else link.ending
            return
        target.trouble = troubles[-1] if troubles else ""
        for address in target.hints:
            self._roads.unreachable(address, target.trouble)

    async def _race(self, addresses: Iterable[tuple[Address, bool]]) -> tuple[Link | None, list[str]]:
        """Dial one address after the other, half a second apart; the first to answer wins."""
        winners: list[Link] = []
        troubles: list[str] = []
        async with trio.open_nursery() as nursery:

            async def attempt(address: Address, told: bool, failed: trio.Event) -> None:
                try:
                    link = await self._roads.dial(address, told)
                except DialError as error:
                    troubles.append(str(error))
                    failed.set()
                    return
                if link is not None:
                    winners.append(link)
                nursery.cancel_scope.cancel()

            for address, told in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, told, failed)
                with trio.move_on_after(_NEXT_ADDRESS_SECONDS):
                    await failed.wait()
        return (winners[0] if winners else None), troubles

    async def _keep_address(self, address: Address) -> None:
        """Dial an address until a peer answers, and again whenever that peer is gone for a while."""
        backoff = Backoff()
        while True:
            try:
                async with self._slots:
                    link = await self._roads.dial(address)
            except DialedOurselves:
                return
            except DialError as error:
                self._roads.unreachable(address, str(error))
                link = None
            if link is not None:
                await link.settled.wait()
                member = link.member
                if not link.up:
                    self._roads.unreachable(address, link.ending)
                while (current := self._roads.link_to(member)) is not None:
                    await _outlive(current, backoff)
                    # If the member has a task of its own by now, that one dials first.
                    await trio.sleep(PATIENCE_SECONDS)
            await trio.sleep(backoff.delay())


async def _outlive(link: Link, backoff: Backoff) -> None:
    since = trio.current_time()
    await link.over.wait()
    if trio.current_time() - since > _SETTLED_SECONDS:
        backoff.reset()
