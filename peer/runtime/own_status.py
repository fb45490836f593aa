"""What `peer status` shows of a running peer in its federation."""

from typing import TYPE_CHECKING

import trio

from ...protocol.ledger.phases import Phase
from ..reporting.proposals import rows
from ..reporting.quorum_watch import abstention
from ..reporting.status import faults_status, late_status, ledger_status, members_status

if TYPE_CHECKING:
    from ..control.client import Json
    from ..network.network import Network
    from .participant import Participant


def own_status(parts: "Participant", network: "Network", name: str) -> "Json":
    """Return the part of the status that begins with the federation.

    Args:
        parts: the parts of this peer in its federation.
        network: its links.
        name: the name that it chose.
    """
    node, situation, rounds = parts.node, parts.situation, parts.rounds
    state = node.state
    wanted = situation.joining()
    wait = rounds.waiting.of(state.round)
    own_name = "" if wanted is None else name
    return {
        "members": members_status(state, node.ctx.me, network.peers(), parts.gone, own_name),
        "joining": None if wanted is None else wanted.text,
        **ledger_status(state, node.view, parts.last_sum),
        "proposals": rows(state, node.ctx.me, node.ctx.pool.proposals.listed(state)),
        "leaving": situation.leaving(),
        "paused": situation.paused(),
        "stalled": situation.shortage(),
        "kept_out": situation.kept_out(),
        "waits": None if wait is None else rounds.waits(),
        "void": rounds.voids.facts(state),
        "voids": rounds.voids.text(state, parts.gone),
        "left_out": rounds.left_out,
        "late": late_status(wait, rounds.waiting.seconds(trio.current_time())),
        "abstains": abstention(node.ctx.guard, node.ctx.height, is_finished=state.phase is Phase.FINISHED),
        "fetching": list(parts.driver.fetching.values()),
        "working": list(parts.driver.workers.running.values()),
        "faults": faults_status(parts.driver.faults),
    }
