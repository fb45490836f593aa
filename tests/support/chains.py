"""Ledgers made by hand: every block certified by a quorum of the members, none of it by a node."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from members import identity, make_genesis
from signing import members, signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger.blocks import (
    Block,
    Body,
    Contributors,
    Depart,
    Join,
    Membership,
    Model,
    Void,
    block_hash,
    wide_bytes,
)
from coterie.protocol.ledger.certificates import extend
from coterie.protocol.ledger.contribution import WIDE_UNIT
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.state import LedgerState, genesis_state
from coterie.protocol.messages.kinds import CertifiedBlock, JoinRequest, LeaveRequest, Precommit

MODEL = "test model"


def digest(text: str) -> bytes:
    """32 bytes that stand for something."""
    return hashlib.sha256(text.encode()).digest()


class Chain:
    """A ledger that grows block by block; ``members`` test peers join in its first block."""

    def __init__(self, members: int = 4, genesis: Genesis | None = None, **changes: Any) -> None:
        self.genesis = genesis or make_genesis(**{"min_peers": max(3, members), "rounds": 0} | changes)
        self.state: LedgerState = genesis_state(self.genesis)
        self.blocks: list[CertifiedBlock] = []
        self.states = [self.state]
        joiners = [identity(number) for number in range(1, members)]
        if joiners:
            self.append(Membership(tuple(self.join(one) for one in joiners)))

    @property
    def committee(self) -> list[Identity]:
        """The identities of the committee, in its order."""
        known = {one.public: one for one in members(32)}
        return [known[key] for key in self.state.committee.members]

    # Requests.

    def join(
        self, who: Identity, model: str = MODEL, ticket: bytes = b"", proof: bytes = b"", height: int | None = None
    ) -> Join:
        """``who`` asks to be admitted, as it would now."""
        request = JoinRequest(f"peer {who.public[:2].hex()}", model, ticket, proof)
        height = self.state.height + 1 if height is None else height
        return Join(signed(who, request, height, federation=self.state.federation).raw)

    def leave(self, who: Identity, height: int | None = None) -> Depart:
        """``who`` asks to be let go."""
        height = self.state.height + 1 if height is None else height
        return Depart(signed(who, LeaveRequest(self.state.round), height, federation=self.state.federation).raw)

    # Bodies.

    def contributors(self, dealers: Iterable[int] | None = None, holders: Iterable[int] | None = None) -> Contributors:
        """All members contribute, and all of the committee hold, or these."""
        everyone = range(self.state.committee.n)
        members = [one for one in everyone if self.state.member(self.state.committee.members[one]) is not None]
        return Contributors(
            self.state.round,
            self.genesis.scheme,
            self.state.weights_hash,
            tuple((dealer, digest(f"dealing {dealer}")) for dealer in (members if dealers is None else dealers)),
            tuple(everyone if holders is None else holders),
        )

    def model(self, *sums: float, weights: bytes | None = None) -> Model:
        """A result of the open sum. ``sums``: by default ten examples a member and ones."""
        state = self.state
        assert state.contributors is not None
        count = state.layout.wide
        given = sums or (10 * len(state.contributors.dealers), 10 * len(state.contributors.dealers), *[1] * (count - 2))
        after = digest(f"weights {state.round}") if state.kind == "train" else state.weights_hash
        return Model(
            state.round,
            digest(f"vector {state.round}"),
            tuple(wide_bytes(round(one * WIDE_UNIT)) for one in given),
            after if weights is None else weights,
            digest(f"beacon {state.round}"),
        )

    def void(self, *names: bytes) -> Void:
        """The round ends without a result."""
        return Void(self.state.round, "sum" if self.state.contributors else "shares", tuple(sorted(names)))

    def refuted(self) -> Void:
        """The open sum is none of contributions, as votes proved."""
        return Void(self.state.round, "encoding", (), digest(f"vector {self.state.round}"))

    # Blocks.

    def block(self, body: Body, height: int | None = None, previous: bytes | None = None) -> bytes:
        """The next block's bytes."""
        height = self.state.height + 1 if height is None else height
        return Block(height, self.state.head if previous is None else previous, body).encode()

    def vote(self, who: Identity, block: bytes | None, view: int = 0, height: int | None = None) -> bytes:
        """A precommit of the next height."""
        height = self.state.height + 1 if height is None else height
        return signed(who, Precommit(block), height, view, self.state.federation).raw

    def certify(self, data: bytes, signers: Iterable[Identity] | None = None, view: int = 0) -> CertifiedBlock:
        """``data`` with the precommits of a quorum, or of these."""
        who = self.committee[: self.state.committee.quorum] if signers is None else signers
        return CertifiedBlock(data, tuple(self.vote(one, block_hash(data), view) for one in who))

    def append(self, body: Body, signers: Iterable[Identity] | None = None) -> LedgerState:
        """Decide a block, by the precommits of a quorum or of these."""
        certified = self.certify(self.block(body), signers)
        self.state = extend(self.state, certified)
        self.blocks.append(certified)
        self.states.append(self.state)
        return self.state

    def round(self) -> LedgerState:
        """Decide a whole round."""
        self.append(self.contributors())
        return self.append(self.model())

    def with_(self, **changes: Any) -> "Chain":
        """Bend the state, where getting there by blocks would be long."""
        self.state = replace(self.state, **changes)
        return self
