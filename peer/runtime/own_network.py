"""The network of a run: where it listens, which addresses it dials, and which peers it keeps a link to."""

from collections.abc import Callable

from ...crypto.identity.identity import Identity
from ...protocol.node import Node
from ..errors import Exit, PeerError
from ..network.address_text import dial_place, listen_place
from ..network.link import Timing
from ..network.network import Network
from ..network.transport.addresses import AddressError
from ..network.transport.host import ListenError
from .way_in import WayIn


def make_network(identity: Identity, way_in: WayIn, allow: Callable[[bytes], bool | None]) -> Network:
    """Return the network, which does not run yet.

    Args:
        identity: the key of this peer.
        way_in: knows the options, and the federation or where to look for it.
        allow: says of a peer what :func:`has_part` says.

    Raises:
        PeerError: an address in the options cannot be used.
    """
    settings, genesis = way_in.settings, way_in.genesis
    try:
        return Network(
            identity,
            [listen_place(text) for text in settings.listen],
            allow=allow,
            name=settings.name,
            federation=b"" if genesis is None else genesis.federation,
            genesis=b"" if genesis is None else genesis.encode(),
            bootstrap=way_in.addresses(),
            announce=[dial_place(text, "--announce") for text in settings.announce],
            timing=Timing(beat_seconds=settings.heartbeat, dead_seconds=settings.dead_after),
        )
    except AddressError as error:
        raise PeerError(str(error)) from None
    except ListenError as error:
        raise PeerError(f"--listen: {error}", Exit.PORT) from None


def has_part(node: Node | None, member: bytes) -> bool | None:
    """Return whether a peer is a member or has a part in the current round; None as long as this peer is no member.

    A peer that is no member may not have the ledger that says who the members are.
    """
    if node is None or (state := node.state).member(node.ctx.me) is None:
        return None
    # Newcomers about to be admitted count, too: their address may come before the block that admits them.
    known = member in state.audience or member in node.ctx.pool.candidates
    return known and member != node.ctx.me
