"""Finding peers beyond the addresses that our user gave: on the local network, and through a DHT.

Both only suggest addresses. Noise authenticates the peer that answers there, its greeting says whether it is of our
federation, and an address record counts by its signature.
"""

from functools import partial

import trio
from trio import TaskStatus  # type: ignore[attr-defined]

from ..network import Network
from ..transport.addresses import Address, AddressRecord
from .dht import Dht
from .mdns import Mdns


async def run_mdns(network: Network, mdns: Mdns | None = None) -> None:
    """Announce `network` on the local network, and suggest to it the other peers there. Runs until cancelled."""
    mdns = mdns or Mdns(network.suggest)
    while True:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mdns.run, network.addresses, lambda: network.federation)
            await network.introduced.wait()
            nursery.cancel_scope.cancel()  # and announce anew, since an announcement names the federation


async def run_dht(network: Network, dht: Dht, *, task_status: TaskStatus[Address] = trio.TASK_STATUS_IGNORED) -> None:
    """Be a node of the DHT, and suggest to `network` what the DHT knows of the federation's members.

    Runs until cancelled; reports the address of our node as started. Raises ListenError.
    """
    await dht.run(lambda: network.federation, network.record, partial(take_record, network), task_status=task_status)


def take_record(network: Network, record: AddressRecord) -> None:
    """Take a record that the DHT found: of a member as it is, of any other peer its addresses as suggestions.

    So a newcomer, which knows no members yet, finds peers to ask.
    """
    if network.is_member(record.member):
        network.learn([record.encoded])
    else:
        for address in record.addresses:
            network.suggest(address)
