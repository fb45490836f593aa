"""The open sum of a height: sum shares come to the aggregator, and what proposals say of W waits for W's check.

One :class:`OpenSum` lives for a height at which a sum is open. :mod:`..round.summing` adds up, opens and checks. Here
that meets the views of the height: the proposer of the view is the aggregator, a proposal about a sum is judged once
its W is checked (:meth:`OpenSum.on_vector`), and :mod:`.giving_up` says how long to wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..context import Context
from ..events import Fetch
from ..ledger.evidence import contradiction
from ..ledger.genesis import is_private
from ..messages.envelope import Verified
from ..messages.kinds import SumShare
from ..round.summing import Summing
from .candidates import Candidates
from .giving_up import GivingUp
from .sum_votes import SumVotes
from .tendermint import Consensus


@dataclass(slots=True)
class OpenSum:
    """The sum that is open at one height, from this member's side."""

    ctx: Context
    summing: Summing
    consensus: Consensus
    candidates: Candidates
    judge: Callable[[Verified, bytes, bool], None]
    """Called with a proposal about a sum, its block hash, and whether it is valid, once W is checked."""
    votes: SumVotes = field(init=False)
    giving_up: GivingUp = field(init=False)
    _waiting: dict[int, tuple[Verified, bytes]] = field(default_factory=dict)
    """By view, a proposal about a sum and its block hash; it waits for its view, or for W to be fetched or checked."""

    def __post_init__(self) -> None:
        self.votes = SumVotes(self.ctx, self.summing, self.consensus, self.candidates)
        self.giving_up = GivingUp(self.ctx, self.summing, self.consensus, self.candidates, self.votes)

    # The aggregator.

    def has_holders(self) -> bool:
        """Whether enough possible holders of a share of the sum are present; nothing can be decided before."""
        ctx, sharing, summing = self.ctx, self.ctx.sharing, self.summing
        if sharing is None or not is_private(ctx.state.genesis.scheme):
            return True
        holders = {*summing.expected, *sharing.acks.holders_of(dict(summing.body.dealers))}
        members = summing.committee.members
        there = sum(members[index] in ctx.alive or members[index] == ctx.me for index in holders)
        return there >= summing.scheme.minimum(summing.choice)

    def begin_view(self, view: int) -> bool:
        """Send this member's sum share to the aggregator of a new view; return whether that is this member itself."""
        self.giving_up.on_new_view(view)
        self.resend(view)
        return self.ctx.state.proposer(view) == self.ctx.me

    def resend(self, view: int) -> None:
        """Send this member's sum share to the aggregator of a view, or open the sum as that aggregator."""
        aggregator = self.ctx.state.proposer(view)
        self.summing.send_sum(aggregator)
        if aggregator == self.ctx.me:
            self.summing.try_open(frozenset(self.ctx.alive), self.ctx.height, view)

    def on_sum_share(self, share: Verified, blob: bytes | None) -> None:
        """Take a sum share; open the sum if this member is the aggregator and there are enough."""
        assert isinstance(share.message, SumShare)
        self.summing.on_sum_share(share, blob)
        self._check_vector(share)
        self.try_open(self.consensus.view)

    def _check_vector(self, share: Verified) -> None:
        """Accuse a contributor that sends another plain vector than the one that it committed to."""
        ctx, sharing = self.ctx, self.ctx.sharing
        index = ctx.state.committee.index(share.sender)
        deal = sharing.deals.get(index) if sharing is not None and index is not None else None
        if sharing is not None and deal is not None and contradiction((deal, share)) is not None:
            ctx.accuse(deal, share)
            sharing.on_contradiction(deal)

    def try_open(self, view: int, after_grace: bool = False) -> None:
        """Open the sum if this member is the current aggregator and enough sum shares are there."""
        ctx = self.ctx
        if view == self.consensus.view and ctx.state.proposer(view) == ctx.me:
            if after_grace:
                self.giving_up.on_vectors_had_time(view)
            self.summing.try_open(frozenset(ctx.alive), ctx.height, view, after_grace)

    # Proposals about the sum.

    def on_claim(self, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        """Take a proposal about the sum: it is valid if all of it follows from W, so have W checked in its view."""
        self._waiting[proposal.view] = (proposal, digest)
        if proposal.view > self.consensus.view:
            # Not checked before its view: a proposer has many views ahead, and may propose in all of them at once.
            known = self.candidates[digest]
            known.vector = known.vector or blob
        else:
            self._examine(proposal, digest, blob)

    def examine_waiting(self, view: int) -> None:
        """Have the W of a proposal checked that came before its view."""
        if view in self._waiting:
            self._examine(*self._waiting[view], None)

    def _examine(self, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        """Have the W of a proposal checked, whose view has come; fetch it first if it is not here."""
        summing = self.summing
        vector_hash, vector = self.candidates.claim(digest), self.candidates[digest].vector or blob
        assert vector_hash is not None
        if proposal.view == self.consensus.view:
            summing.put_on_table(vector_hash)
        size = summing.terms.layout.vector_bytes
        if summing.verdict(vector_hash) is not None:
            self.on_vector(vector_hash)
        elif summing.holds(vector_hash):
            return
        elif vector is None:
            self.ctx.out.fetch(Fetch(proposal.sender, vector_hash, size, proposal))
        elif len(vector) != size or not summing.check(vector_hash, vector):
            self.on_bad_vector(vector_hash)

    def on_vector(self, vector_hash: bytes) -> None:
        """Judge the proposals that wait for this W, now checked: they are valid if they say what follows from it."""
        checked = self.summing.verdict(vector_hash)
        if checked is None:  # it is going to be checked again, with this member's own sum
            return
        expected = self.summing.outcome_of(checked)
        for proposal, digest in self._take_waiting(vector_hash):
            self.judge(proposal, digest, self.candidates[digest].block.body == expected)

    def on_bad_vector(self, vector_hash: bytes) -> None:
        """Refuse the proposals that wait for this W: it is not of the round's form, or cannot be checked here."""
        for proposal, digest in self._take_waiting(vector_hash):
            self.judge(proposal, digest, False)

    def _take_waiting(self, vector_hash: bytes) -> list[tuple[Verified, bytes]]:
        def waits(view: int, digest: bytes) -> bool:
            return view <= self.consensus.view and self.candidates.claim(digest) == vector_hash

        return [self._waiting.pop(view) for view, (_, digest) in sorted(self._waiting.items()) if waits(view, digest)]

    def vector_of(self, digest: bytes) -> bytes | None:
        """Return the W of a known block, if it is about the sum and W is here."""
        vector_hash = self.candidates.claim(digest)
        checked = None if vector_hash is None else self.summing.checked.get(vector_hash)
        return checked.vector if checked is not None else self.candidates[digest].vector

    # The end.

    def forget(self, views: list[int], digests: list[bytes]) -> None:
        """Drop what waits for these views, and what was brought with these blocks: they are not kept any more."""
        for view in views:
            self._waiting.pop(view, None)
        for digest in digests:
            self.votes.forget(digest)

    def close(self) -> None:
        """Drop the vectors once the height is decided; keep what judges late prevotes."""
        self.votes.evict_liars()
        self._waiting.clear()
        self.summing.close()
