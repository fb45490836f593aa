"""Finding the federation: which peers answer at the addresses that a newcomer was given, and what they belong to."""

from collections.abc import Callable, Mapping
from typing import Any

import trio

from ...protocol.ledger.genesis import Genesis, GenesisError, read_genesis
from ..member_names import in_words
from ..network.link_events import Connected, Refused, Unreachable
from ..network.network import Network

Tell = Callable[[str, str, Mapping[str, Any]], None]
"""Reports an event: gets its kind, its text and its facts."""


async def find_genesis(network: Network, tell: Tell, wanted: bytes | None) -> Genesis:
    """Wait until a peer shows the genesis of a federation, and return it.

    The network keeps dialling meanwhile, and its failures are told. This never gives up by itself.

    Args:
        network: the network, which is running.
        tell: reports an event.
        wanted: the id of the federation, if an invite names one; None takes any.

    Raises:
        trio.ClosedResourceError: the network has ended.
    """
    async for event in network.inbound:
        match event:
            case Connected(member=member, greeting=greeting, is_stranger=is_stranger) if greeting.genesis:
                try:
                    genesis = read_genesis(greeting.genesis)
                except GenesisError as error:
                    if is_stranger:
                        continue
                    tell("wrong-genesis", f"sent a genesis that is not valid: {error}", {"member": member})
                    continue
                if wanted is None or genesis.federation == wanted:
                    return genesis
                if is_stranger:
                    continue
                text = "belongs to another federation than the invite; is the address right?"
                tell("another-federation", text, {"member": member, "name": greeting.name})
            case Connected(is_stranger=True) | Refused(is_stranger=True):
                pass  # anybody may call; only peers that this one called are told of
            case Connected(member=member, greeting=greeting):
                text = f"{in_words(greeting.name or 'a peer')} answered, but is in no federation yet itself"
                tell("no-federation", text, {"peer": member})
            case Refused() | Unreachable():
                tell_trouble(event, tell)
            case _:
                pass
    raise trio.ClosedResourceError


def tell_trouble(event: Refused | Unreachable, tell: Tell) -> None:
    """Tell why there is no link; the network goes on trying."""
    match event:
        case Refused(member=member, reason=reason, by_peer=by_peer):
            who = "refuses this peer" if by_peer else "cannot be talked to"
            tell("link-refused", f"{who}: {reason}", {"member": member, "reason": reason})
        case Unreachable(address=address, reason=reason):
            text = f"{address} cannot be reached ({reason}); trying again"
            tell("unreachable", text, {"address": address, "reason": reason})
