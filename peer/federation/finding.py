"""Looking for peers beyond the addresses that were given: on the local network, and through a Kademlia DHT."""

from collections.abc import Callable
from functools import partial

import trio

from ...crypto.identity.identity import Identity
from ..errors import Exit, PeerError
from ..home.settings import Settings
from ..network.address_text import listen_place
from ..network.discovery.dht import Dht
from ..network.discovery.interface import run_mdns, take_record
from ..network.network import Network
from ..network.transport.addresses import Address, AddressError, parse_address
from ..network.transport.host import ListenError


class Discovery:
    """The search that `--mdns` and `--dht` ask for. It only suggests addresses to the network.

    ``wanted`` is the id of the federation that an invite names. A newcomer without an invite can search the local
    network only, because the DHT finds members by the federation's id.
    """

    def __init__(self, settings: Settings, identity: Identity, network: Network, wanted: bytes | None) -> None:
        """Prepare the search.

        Raises:
            PeerError: a DHT entry is no address with a PeerId.
        """
        self._mdns = settings.mdns
        self._listen = listen_place(settings.dht_listen, "--dht-listen")
        self._takes_part = bool(settings.dht)
        self._identity = identity
        self._network = network
        self._wanted = wanted
        self._entries = [_entry(text) for text in settings.dht if text]

    async def run(self, dht_started: Callable[[Address], None]) -> None:
        """Search until cancelled.

        ``dht_started`` gets the address of our own DHT node, which others can use as their entry to the DHT.

        Raises:
            PeerError: the DHT's address cannot be listened on.
        """
        async with trio.open_nursery() as nursery:
            if self._mdns:
                nursery.start_soon(run_mdns, self._network)
            if self._takes_part:
                await self._run_dht(dht_started)

    async def _run_dht(self, started: Callable[[Address], None]) -> None:
        dht = Dht(self._identity, self._listen, self._entries)
        run = partial(
            dht.run,
            lambda: self._network.federation or self._wanted or b"",
            self._network.record,
            partial(take_record, self._network),
        )
        try:
            async with trio.open_nursery() as nursery:
                started(await nursery.start(run))
        except* ListenError as group:
            raise PeerError(f"--dht-listen: {group.exceptions[0]}", Exit.PORT) from None


def _entry(text: str) -> Address:
    try:
        address = parse_address(text)
    except AddressError as error:
        raise PeerError(f"--dht: {error}") from None
    if address.member is None:
        raise PeerError(f"--dht {text}: the PeerId of that DHT node is needed too: {text}/p2p/12D3KooW…")
    return address
