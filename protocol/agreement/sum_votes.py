"""The prevotes for blocks about the open sum: whether they prove W, and which of them are lies.

:mod:`..round.sum_proofs` keeps them and does the arithmetic. Here they meet the blocks that they are for, and what is
found goes to the operator, to the other members and to the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..context import Context
from ..messages.envelope import Verified
from ..messages.kinds import Accusation, Prevote
from ..round.summing import Summing
from .candidates import Candidates
from .tendermint import Consensus


@dataclass(slots=True)
class SumVotes:
    """The votes of one height at which a sum is open."""

    ctx: Context
    summing: Summing
    consensus: Consensus
    candidates: Candidates
    _named: set[bytes] = field(default_factory=set)
    """Members that the operator was told sent a false z."""

    # What proves W.

    def own_z(self, digest: bytes | None) -> tuple[int, int] | None:
        """Return this member's fingerprint for a block about a sum; None for others, and if it has no sum share."""
        vector_hash = self.candidates.claim(digest)
        checked = None if vector_hash is None else self.summing.checked.get(vector_hash)
        return checked.own if checked else None

    def proves(self, digest: bytes, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes for a known block about a sum prove its W, or others that are known do."""
        vector_hash = self.candidates.claim(digest)
        if vector_hash is None:
            return False
        # The views in which it was proposed are gone through last, and only if no other set proves the sum.
        heard = (self.of_view(view, digest) for view in self.candidates.views_of(digest))
        sets = self.summing.proofs.sets_for(digest, votes, heard)
        return any(self.summing.proves(vector_hash, one) for one in sets)

    def proof(self, digest: bytes) -> tuple[bytes, ...]:
        """Return the prevotes that proved the W of a block, in whatever view; none if it is about no sum."""
        vector_hash = self.candidates.claim(digest)
        return () if vector_hash is None else self.summing.proofs.proof(vector_hash, digest)

    def of_view(self, view: int, digest: bytes) -> dict[bytes, Verified]:
        """Return the prevotes for a block in one view, by sender."""
        return prevotes_for(self.consensus, view, digest)

    def bring(self, digest: bytes, polka: list[Verified]) -> None:
        """Take the prevotes that came with a valid proposal of a block.

        A proof that is found once is kept. So one is looked for with the prevotes from the disk first, if any, before
        those of this proposal take their place.
        """
        self.proves(digest, {})
        self.restore(digest, polka)
        self.proves(digest, {})

    def restore(self, digest: bytes, polka: list[Verified]) -> None:
        """Take the prevotes for a block that were durable before a restart."""
        self.summing.proofs.brought[digest] = polka

    def forget(self, digest: bytes) -> None:
        """Drop what was brought with a block, and what is proved by votes for it: the block is not kept."""
        self.summing.proofs.forget(digest)

    # Which z's are lies.

    def name_liars(self, vote: Verified) -> None:
        """Take the z of a prevote for a block about a sum; name the members whose z is off the others' polynomial."""
        assert isinstance(vote.message, Prevote)
        digest, summing = vote.message.block_hash, self.summing
        if digest is None or self.consensus.committee.index(vote.sender) is None:
            return
        summing.proofs.hear(vote)
        if self.candidates.claim(digest) is None:
            return
        for lie in summing.proofs.found(digest):
            self._pass_on(lie)
            if lie.sender not in self._named:
                self._named.add(lie.sender)
                text = f"round {summing.round}: a wrong sum share, as its prevote proves"
                self.ctx.out.fault(lie.sender, text, round=summing.round, wrong_sum=True)
        summing.proofs.prove_lies(digest)
        self.evict_liars()

    def _pass_on(self, vote: Verified) -> None:
        """Show a false vote to all: its author may have shown it to this member alone, which cannot evict alone."""
        self.ctx.out.send(None, Accusation(vote.raw, None))

    def evict_liars(self) -> None:
        """Propose to evict members that lied about a decided sum, which is one that the ledger judges by."""
        for settled in self.ctx.state.judged_by:
            for eviction in self.summing.proofs.evictions(settled.block):
                self.ctx.pool.add_eviction(eviction)


def prevotes_for(consensus: Consensus, view: int, digest: bytes) -> dict[bytes, Verified]:
    """Return the prevotes for a block in one view, by sender."""
    return {
        sender: vote
        for sender, vote in consensus.prevotes(view).items()
        if isinstance(vote.message, Prevote) and vote.message.block_hash == digest
    }
