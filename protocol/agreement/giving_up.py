"""How long members wait for an open sum, and when they give it up: the round is void then, or its sum is repeated.

Each member judges by what it sees. Liars may have links with some members only, give their sum shares and withhold
their votes, or vote for what nobody can prove. So each rule here has a counterpart that lets all others come to the
same answer some views later. docs/protocol.md, "Agreement", has the argument.

A method named ``why_not_...`` returns what speaks against something, in words, and None if nothing does.
"""

from dataclasses import dataclass

from ..context import Context
from ..ledger.blocks import Body, Model, Void
from ..ledger.committee import Committee
from ..ledger.genesis import is_private
from ..round.summing import Summing
from .candidates import Candidates
from .sum_votes import SumVotes
from .tendermint import Consensus


def views_to_fallback(committee: Committee) -> int:
    """Return the number of views after which a fallback is acceptable: two turns for each of f+1 aggregators.

    Fallbacks are to give up a sum that does not open, and to take contributors that are not all that could be.
    """
    return 2 * (committee.f + 1)


@dataclass(slots=True)
class GivingUp:
    """What one member proposes at a height at which a sum is open, and when it votes to give the sum up."""

    ctx: Context
    summing: Summing
    consensus: Consensus
    candidates: Candidates
    votes: SumVotes
    _lacking: int = -1
    """The last view at the beginning of which not all contributors of the open sum were present."""
    _waited: int | None = None
    """The view in which this member, as aggregator, has given the others' plain vectors the time to come."""

    def on_new_view(self, view: int) -> None:
        """Note whether all contributors are present at the beginning of a view."""
        if not self._are_all_there():
            self._lacking = view

    def on_vectors_had_time(self, view: int) -> None:
        """Note that the others' plain vectors had the time to come to this member, which aggregates in this view."""
        self._waited = view

    def value(self, view: int) -> Model | Void | None:
        """Return what to propose in this view: what follows from W, or to give up; None to wait."""
        opened, is_needed = self.summing.outcome(), self.why_not_give_up(view) is not None
        if opened is not None and (is_needed or self._has_open_sum(view)):
            return opened[0]
        if not is_needed and self._has_no_sum(view):
            late = tuple(self.ctx.state.committee.members[j] for j in self.summing.missing())
            return Void(self.ctx.state.round, "sum", late)
        return None

    def why_not_give_up(self, view: int) -> str | None:
        """Say why the open sum must not be given up yet, as void without proof; None if it may be.

        A plain sum is lost with any contributor, and its repetition binds nobody. So it is given up at once if a
        contributor is proved to lie, or a quorum's vote for it proved nothing, and otherwise after some views.

        A secret sum is given up only after more views, when no open sum is left to insist on, in one of two cases:

        * All contributors are present to repeat it, and were present at the beginning of so many views that each could
          have given its sum share and its vote.
        * The honest members are too few to open and prove it. And either a quorum's vote for it proved nothing, or f+1
          members gave it up.
        """
        if not self._is_secret() and (self._is_lost() or self._is_withheld(view)):
            return None
        is_incomplete = not self._is_secret() and bool(self.summing.missing())
        patience = self._patience_with_absence() if is_incomplete else self._patience()
        if view < patience:
            return f"only view {view} of {patience}"
        if not self._is_secret():
            return None
        if self._has_open_sum(view):
            return "the sum is open"
        # Where the sum needs liars, one that has links with some members only must not make the others wait for it.
        if self._needs_liars() and (self._is_withheld(view) or self._is_given_up_elsewhere(view)):
            return None
        if not self._are_all_there():
            return "not everybody is there to repeat the sum"
        if view <= self._lacking + patience:
            return f"not everybody was there at the beginning of view {self._lacking}"
        return None

    def _is_secret(self) -> bool:
        return is_private(self.ctx.state.genesis.scheme)

    def _needs_liars(self) -> bool:
        """Whether all honest members together are too few to open and prove a secret sum."""
        committee = self.ctx.state.committee
        return committee.sum_quorum > committee.n - committee.f

    def _are_all_there(self) -> bool:
        """Whether all contributors of the open sum are present."""
        members = (self.summing.committee.members[index] for index, _ in self.summing.body.dealers)
        return all(one in self.ctx.alive or one == self.ctx.me for one in members)

    def _is_given_up_elsewhere(self, view: int) -> bool:
        """Whether f+1 others voted in earlier views for giving the sum up.

        One of them is honest and saw a reason to. Liars may have links with some members only, so this member may never
        see the same.
        """
        voted: set[bytes] = set()
        for one, digest, known in self.candidates.before(view):
            if isinstance(known.block.body, Void) and known.block.body.reason == "sum":
                voted |= self.votes.of_view(one, digest).keys()
        return len(voted - {self.ctx.me}) > self.ctx.state.committee.f

    def _is_lost(self) -> bool:
        """Whether a contributor is proved to lie: a plain sum needs all vectors, so it can never be completed."""
        sharing = self.ctx.sharing
        return sharing is not None and any(place in sharing.excluded for place, _ in self.summing.body.dealers)

    def _has_open_sum(self, view: int) -> bool:
        """Whether this member has the sum open and insists on it in this view.

        It does not insist for ever: holders may give their sum shares, so that the sum opens, and withhold the
        fingerprints that would prove it. A secret sum is insisted on for twice as many views as a plain one, unless a
        quorum voted for it and its proof lacks the fingerprints of others.
        """
        opened = self.summing.outcome()
        if opened is None:
            return False
        is_withheld = self._is_withheld(view) and opened[0] in self._withheld(view)
        return view < (1 + self._is_secret() - is_withheld) * self._patience()

    def _is_withheld(self, view: int) -> bool:
        """Whether a quorum voted for a sum in an earlier view without a proof, since the z's of others are missing."""
        return bool(self._withheld(view))

    def _withheld(self, view: int) -> list[Body]:
        """Return the bodies that a quorum voted for in earlier views without a proof of their sum.

        They may follow from a false sum, which nobody could prove.
        """
        quorum = self.ctx.state.committee.quorum
        return [
            known.block.body
            for one, digest, known in self.candidates.before(view)
            if self.candidates.claim(digest) is not None
            and self.consensus.prevotes_for(one, digest) >= quorum
            and not self.votes.proves(digest, {})
        ]

    def _patience(self) -> int:
        return views_to_fallback(self.ctx.state.committee)

    def _patience_with_absence(self) -> int:
        """Return the number of views after which a plain sum is given up to which not all vectors came: max(4, f+2).

        Of f+2 aggregators in a row two are honest. There are no fewer than four views, since later views are longer and
        leave time for slow work.
        """
        return max(4, self.ctx.state.committee.f + 2)

    def _has_no_sum(self, view: int) -> bool:
        """Whether this member, as aggregator, may give up without waiting for the sum to open here.

        Vectors of a plain sum may be withheld from other aggregators, or a false sum be proposed that nobody can prove,
        and it may open here all the same. So the vectors first have the time to come.
        """
        if self._is_secret() or self._is_lost() or view >= self._patience():
            return True
        return self.summing.outcome() is not None or bool(self._waited == view and self.summing.missing())
