"""A federation that exists already: its genesis, its members, and the ledger that admitted them.

A simulation of rounds need not begin with everybody's admission. The blocks made here are those that real members would
have decided, with real certificates. A peer that starts from them resumes as it does after a restart.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...crypto.identity.identity import Identity
from ...protocol.ledger.blocks import Block, Join, Membership, block_hash
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.state import apply, genesis_state
from ...protocol.limits import MAX_CHANGES_PER_BLOCK
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import seal
from ...protocol.messages.kinds import JoinRequest, Precommit
from ...protocol.records import BlockDecided
from ..network.clock import START_MS

MODEL = "simulated"


def identity_of(number: int) -> Identity:
    """Return the key of simulated peer ``number``: the same in every run."""
    return Identity.from_seed(hashlib.sha256(b"coterie/simulated peer %d" % number).digest())


def make_genesis(parameters: int, peers: int, **changes: Any) -> tuple[Genesis, bytes]:
    """Return a genesis that peer 0 founds, and its weights (all zero).

    It trains with n - f of the ``peers`` or more. ``changes`` replace fields of the genesis.
    """
    weights = np.zeros(parameters, dtype="<f4").tobytes()
    values: dict[str, Any] = {
        "name": "simulated",
        "founder": identity_of(0).public,
        "founder_name": "0",
        "created_ms": START_MS,
        "model": MODEL,
        "shapes": ((parameters,),),
        "weights_hash": digest_of(weights),
        "admit": "open",
        "min_peers": max(3, peers - (peers - 1) // 3),
    }
    return Genesis(**(values | changes)), weights


def found(genesis: Genesis, identities: Sequence[Identity]) -> list[BlockDecided]:
    """Return the blocks that admit all peers but the founder, each certified by the members of its height."""
    state = genesis_state(genesis)
    by_key = {one.public: one for one in identities}
    waiting = sorted(key for key in by_key if key != genesis.founder)
    blocks: list[BlockDecided] = []
    while waiting:
        admitted, waiting = waiting[:MAX_CHANGES_PER_BLOCK], waiting[MAX_CHANGES_PER_BLOCK:]
        request = JoinRequest("peer", genesis.model, b"", b"")
        joins = tuple(Join(seal(by_key[key], state.federation, 1, 0, request)) for key in admitted)
        data = Block(state.height + 1, state.head, Membership(joins)).encode()
        vote = Precommit(block_hash(data))
        signers = state.committee.members[: state.committee.quorum]
        certificate = tuple(seal(by_key[key], state.federation, state.height + 1, 0, vote) for key in signers)
        state = apply(state, data)
        blocks.append(BlockDecided(state.height, data, certificate))
    return blocks
