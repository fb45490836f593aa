"""A look at what a federation trains, before joining it: at the genesis, which a member shows to every caller."""

import os
import sys
from typing import Final

import trio

from ...crypto.identity.identity import Identity
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.tickets import Invite
from ..errors import Exit, PeerError
from ..network.network import Network
from ..reporting.reporters import PlainLines
from .joining import find_genesis

SECONDS: Final = 30.0
"""How long the members may take to answer."""


def genesis_of(invite: Invite, seconds: float = SECONDS) -> Genesis:
    """Call the addresses that an invite names, and return the genesis of its federation.

    The call is made with a fresh key, and asks for nothing else. It tells the members nothing about this peer, and does
    not use the invite up.

    Raises:
        PeerError: no member answered within ``seconds``.
    """
    return trio.run(_call, invite, seconds)


def _unknown(_: bytes) -> None:
    """Say of any peer that it is not known whether it is a member."""


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
            # Failed attempts are told on standard error, since the report itself may be JSON.
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
