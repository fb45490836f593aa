"""Which connections may begin a handshake: each costs milliseconds of our CPU, and anybody can ask for one.

A connection may begin its handshake while its host has handshakes left, and all strangers together have some left. When
they are used up, a member still gets in by its knock (:mod:`..transport.knocks`): each member has a few handshakes of
its own. For a host at which a member was seen, the budget that all strangers share does not count, so that a flood from
elsewhere takes nothing from it.

Nothing here waits or reads a clock: `trio.current_time()` comes in as `now`.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from .hosts import host_key
from .rate_limit import TokenBucket

HANDSHAKES_PER_SECOND: Final = 10.0
"""Of one host, after the first HANDSHAKE_BURST."""

HANDSHAKE_BURST: Final = 128
ALL_HANDSHAKES_PER_SECOND: Final = 20.0
"""Of all hosts together at which no member was seen."""

ALL_HANDSHAKES_BURST: Final = 256
MEMBER_HANDSHAKES_PER_SECOND: Final = 0.5
"""Of a member that knocks, beside those of its host."""

MEMBER_HANDSHAKE_BURST: Final = 8
MAX_HALF_OPEN: Final = 64
"""Inbound connections that have yet to authenticate; those of members that knocked are not counted."""

MAX_HALF_OPEN_PER_HOST: Final = 32
MAX_CALLERS: Final = 1024
"""Hosts and members whose handshakes are counted; the one that was quiet for longest is forgotten."""

MAX_MEMBER_HOSTS: Final = 512


class Doors:
    """The budget of handshakes of one listener."""

    def __init__(self) -> None:
        self._callers: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self._all = TokenBucket(ALL_HANDSHAKES_PER_SECOND, ALL_HANDSHAKES_BURST)
        self._member_hosts: OrderedDict[str, None] = OrderedDict()
        self.refused = 0
        """Connections that were closed before they could authenticate."""

    def are_open_to(self, host: str, now: float) -> bool:
        """Whether a connection from this address may begin a handshake; counts it if so."""
        key = host_key(host)
        bucket = self._bucket(key, HANDSHAKES_PER_SECOND, HANDSHAKE_BURST)
        if key in self._member_hosts:
            return bucket.take(now)
        return bucket.has_one(now) and self._all.take(now) and bucket.take(now)

    def are_open_to_member(self, member: bytes, now: float) -> bool:
        """Whether a connection that came with this member's knock may begin a handshake; counts it if so."""
        return self._bucket(member, MEMBER_HANDSHAKES_PER_SECOND, MEMBER_HANDSHAKE_BURST).take(now)

    def saw_member_at(self, host: str) -> None:
        """Note that a member has authenticated from this address."""
        key = host_key(host)
        self._member_hosts[key] = None
        self._member_hosts.move_to_end(key)
        if len(self._member_hosts) > MAX_MEMBER_HOSTS:
            self._member_hosts.popitem(last=False)

    def member_hosts(self) -> set[str]:
        """The hosts at which a member was seen (:func:`...host_key`)."""
        return set(self._member_hosts)

    def _bucket(self, caller: Hashable, rate: float, burst: float) -> TokenBucket:
        bucket = self._callers.get(caller)
        if bucket is None:
            if len(self._callers) >= MAX_CALLERS:
                self._callers.popitem(last=False)
            bucket = self._callers[caller] = TokenBucket(rate, burst)
        self._callers.move_to_end(caller)
        return bucket


class HalfOpen:
    """The connections that have yet to authenticate, and which of them makes room."""

    def __init__(self) -> None:
        self._by_host: dict[str, OrderedDict[Hashable, None]] = {}
        self._count = 0

    def enter(self, host: str, who: Hashable) -> Hashable | None:
        """Count one more connection. Returns the one that has to go for it, which is no longer counted, or None.

        The oldest one goes: of this host if it has too many, otherwise of the host that has most. An honest handshake
        takes milliseconds, so the oldest is the least likely to be honest.
        """
        key = host_key(host)
        mine = self._by_host.setdefault(key, OrderedDict())
        crowd: OrderedDict[Hashable, None] | None = None
        if len(mine) >= MAX_HALF_OPEN_PER_HOST:
            crowd = mine
        elif self._count >= MAX_HALF_OPEN:
            crowd = max(self._by_host.values(), key=len)
        leaving = None
        if crowd is not None:
            leaving, _ = crowd.popitem(last=False)
            self._count -= 1
        mine[who] = None
        self._by_host = {host: some for host, some in self._by_host.items() if some}
        self._count += 1
        return leaving

    def leave(self, host: str, who: Hashable) -> None:
        """Count a connection no longer: its handshake is over."""
        key = host_key(host)
        mine = self._by_host.get(key)
        if mine is not None and who in mine:
            del mine[who]
            self._count -= 1
            if not mine:
                del self._by_host[key]
