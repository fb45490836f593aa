"""Finding peers on the local network by multicast DNS, as libp2p does it: service `_p2p._udp`, TXT `dnsaddr=…`.

A second TXT entry carries a short hash of the federation's id, so that members do not dial other federations on
the same network. It proves nothing; the greeting decides. What is found is a suggestion to dial, no more.
"""

import contextlib
import hashlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import trio

from ..transport.addresses import Address, AddressError, parse_address

SERVICE: Final = "_p2p._udp.local."
MAX_WAITING: Final = 64
"""Announcements that we have yet to look at; more are dropped, and come again."""

MAX_NAMES_A_MINUTE: Final = 1024
"""Names that are announced on the network. If there are more, somebody invents them, and looking pauses."""

QUIET_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 8
"""Of one announcement."""

_MINUTE_SECONDS: Final = 60.0
_MAX_ENTRY_BYTES: Final = 255
_ASK_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 10.0
"""If nothing new is heard for so long, a name that was heard is looked at again: its peer may not have been up yet."""

log = logging.getLogger("coterie.network")


def tag(federation: bytes) -> bytes:
    """What an announcement says of its federation; empty for a newcomer's."""
    return hashlib.sha256(b"coterie/1/mdns" + federation).hexdigest()[:16].encode() if federation else b""


def properties(addresses: Iterable[str], federation: bytes) -> dict[bytes, bytes]:
    """The TXT entries that announce `addresses` (with their /p2p/ part)."""
    entries = {b"coterie": tag(federation)}
    for number, address in enumerate(addresses, 1):
        name = b"dnsaddr" if number == 1 else b"dnsaddr%d" % number
        if len(name) + 1 + len(address) <= _MAX_ENTRY_BYTES:
            entries[name] = address.encode()
    return entries


def candidates(entries: Mapping[bytes, bytes | None], federation: bytes) -> list[Address]:
    """The addresses to dial for an announcement; none unless it is Coterie's and may be of our federation.

    It may be if its tag is ours, or if either side is a newcomer.
    """
    theirs = entries.get(b"coterie")
    if theirs is None or (federation and theirs and theirs != tag(federation)):
        return []
    found = []
    for name, value in entries.items():
        if name.startswith(b"dnsaddr") and value:
            try:
                address = parse_address(value.decode("ascii"))
            except (AddressError, UnicodeDecodeError):
                continue
            if address.member is not None:
                found.append(address)
        if len(found) == MAX_ADDRESSES:
            break
    return found


class Crowd:
    """Counts the names that are heard, and says when they are too many. Used from zeroconf's thread."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._since = seconds()
        self._count = 0
        self.is_too_large = False

    def heard_one(self) -> bool:
        """Count one name; returns whether the number is still within bounds."""
        now = self._seconds()
        if now - self._since >= _MINUTE_SECONDS:
            self._since, self._count = now, 0
        self._count += 1
        self.is_too_large = self.is_too_large or self._count > MAX_NAMES_A_MINUTE
        return not self.is_too_large


class Mdns:
    """Announces our addresses and reports the candidates that others announce."""

    def __init__(self, found: Callable[[Address], None], interfaces: Any = None) -> None:
        """`interfaces`: as in zeroconf; None for all."""
        self._found = found
        self._interfaces = interfaces

    async def run(self, addresses: Callable[[], list[str]], federation: Callable[[], bytes]) -> None:
        """Run until cancelled. A network without multicast is reported in the log and is no error.

        zeroconf keeps every name that it hears, and a thread of it works for each. When there are too many, it is ended
        with all that it keeps, and begins anew after a pause.
        """
        while await self._listen(addresses, federation):
            log.warning("more than %d names announced in a minute: mDNS pauses", MAX_NAMES_A_MINUTE)
            await trio.sleep(QUIET_SECONDS)

    async def _listen(self, addresses: Callable[[], list[str]], federation: Callable[[], bytes]) -> bool:
        """Announce and look until there are too many names; False if the network does not allow it."""
        import zeroconf  # takes long to import, which a peer without mDNS need not wait for

        crowd = Crowd()
        crowded = trio.Event()
        send, receive = trio.open_memory_channel[str](MAX_WAITING)
        token = trio.lowlevel.current_trio_token()

        def hand_over(name: str) -> None:
            with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
                send.send_nowait(name)

        def heard(name: str, **_: Any) -> None:
            if crowd.is_too_large:
                return
            if crowd.heard_one():
                token.run_sync_soon(hand_over, name)
            else:
                token.run_sync_soon(crowded.set)

        options = {} if self._interfaces is None else {"interfaces": self._interfaces}
        try:
            server = await trio.to_thread.run_sync(lambda: zeroconf.Zeroconf(**options))
        except OSError as error:
            log.warning("no mDNS: %s", error)
            return False
        own = f"{secrets.token_hex(16)}.{SERVICE}"
        try:
            ours = zeroconf.ServiceInfo(
                SERVICE,
                own,
                port=_port(addresses()),
                parsed_addresses=_hosts(addresses()),  # without one, others' look-ups do not complete
                properties=properties(addresses(), federation()),
                server=f"{own.split('.')[0]}.local.",
            )
            await trio.to_thread.run_sync(server.register_service, ours)
            zeroconf.ServiceBrowser(server, SERVICE, handlers=[heard])
            known: deque[str] = deque(maxlen=MAX_WAITING)

            async def look() -> None:
                while True:
                    name = await _next_of(receive, known)
                    if name != own:
                        known.append(name)
                        await self._look_at(zeroconf.ServiceInfo(SERVICE, name), server, federation())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                await crowded.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(_ASK_SECONDS):
                await _in_thread(server.close)
        return True

    async def _look_at(self, info: Any, server: Any, federation: bytes) -> None:
        if await _in_thread(lambda: info.request(server, _ASK_SECONDS * 1000)):
            for address in candidates(info.properties, federation):
                self._found(address)


async def _next_of(heard: trio.MemoryReceiveChannel[str], known: deque[str]) -> str:
    """Wait for an announcement; if none comes for a while, take the one that was looked at longest ago."""
    while True:
        try:
            with trio.fail_after(_AGAIN_SECONDS):
                return await heard.receive()
        except trio.TooSlowError:
            if known:
                return known.popleft()


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Run a blocking call of zeroconf in a thread; when cancelled, leave it to end by itself."""
    return await trio.to_thread.run_sync(work, abandon_on_cancel=True)  # type: ignore[call-arg]


def _hosts(addresses: list[str]) -> list[str]:
    return [parts[2] for address in addresses if (parts := address.split("/"))[1] in ("ip4", "ip6")]


def _port(addresses: list[str]) -> int:
    return int(addresses[0].split("/")[4]) if addresses else 0
