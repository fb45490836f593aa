"""What a federation trains, seen before one joins it: the genesis that a member shows to anybody who calls."""

import os
import sys
from typing import Final

import trio

from ..crypto.identity import Identity
from ..protocol.admission import Invite
from ..protocol.genesis import Genesis
from .exits import Exit, PeerError
from .lobby import find_genesis
from .network.network import Network
from .progress import PlainLines

SECONDS: Final = 30.0
"""How long members may take to answer."""


def genesis_of(invite: Invite, seconds: float = SECONDS) -> Genesis:
    """Call the members that an invite names, under a key for this once; nothing is asked of them and nothing told.

    The invite is not used up by it.

    Raises:
        PeerError: nobody answered.
    """
    return trio.run(_call, invite, seconds)


def _unknown(_: bytes) -> None:
    """Nothing is known of who is a member."""


async def _call(invite: Invite, seconds: float) -> Genesis:
    network = Network(
        Identity.from_seed(os.urandom(32)),
        ("/ip4/127.0.0.1/tcp/0",),
        allow=_unknown,
        bootstrap=invite.addresses,
    )
    genesis: Genesis | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        with trio.move_on_after(seconds):
            # What goes wrong meanwhile is told as notes, since the report itself may be JSON.
            genesis = await find_genesis(network, PlainLines(sys.stderr).event, invite.terms.federation)
        await network.stop()
        nursery.cancel_scope.cancel()
    if genesis is None:
        raise PeerError(
            f"--invite: no member could be reached within {seconds:g} s, at {', '.join(invite.addresses)}; is the"
            " inviting peer running, and its port open? (`peer doctor`)",
            Exit.UNREACHABLE,
        )
    return genesis
