"""Proposals to change options of the training that are open, and the votes on them, as far as this member heard.

What is kept is bounded by the number of members: of each member its newest proposal, and MAX_VOTES_PER_MEMBER votes. So
the flood of a member pushes out only that member's own proposals and votes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .ledger.blocks import Amend
from .ledger.options import OptionsError, check_vote, id_of, proposed, votes_needed
from .ledger.state import LedgerState
from .limits import MAX_VOTES_PER_MEMBER
from .messages.envelope import Verified
from .messages.kinds import OptionsProposal, OptionsVote


@dataclass(frozen=True, slots=True)
class OpenProposal:
    """A proposal that can be decided, and the votes of present members on it."""

    id: bytes
    envelope: Verified
    accepting: tuple[Verified, ...]
    """The yes-votes, by voters ascending."""
    refusing: tuple[Verified, ...]
    needed: int
    """Yes-votes that decide it."""
    members: int
    """Members that can vote."""

    @property
    def proposal(self) -> OptionsProposal:
        """What is proposed."""
        assert isinstance(self.envelope.message, OptionsProposal)
        return self.envelope.message

    @property
    def is_refused(self) -> bool:
        """Whether so many members refuse it that the others are too few to decide it."""
        return len(self.refusing) > self.members - self.needed

    def vote_of(self, member: bytes) -> bool | None:
        """Return how a member voted; None if it did not."""
        if any(one.sender == member for one in self.accepting):
            return True
        return False if any(one.sender == member for one in self.refusing) else None


@dataclass(slots=True)
class OpenProposals:
    """The proposals and votes that this member knows."""

    _proposals: dict[bytes, Verified] = field(default_factory=dict)
    """By proposer."""
    _votes: dict[bytes, dict[bytes, Verified]] = field(default_factory=dict)
    """By voter, and by the id of the proposal."""
    revision: int = 0
    """Counts the changes of what is known."""

    def add(self, state: LedgerState, proposal: Verified) -> bool:
        """Take a proposal. Returns whether it is new: it can be decided, and is its proposer's newest one."""
        message = proposal.message
        assert isinstance(message, OptionsProposal)
        known = self._proposals.get(proposal.sender)
        if known is not None and _made_ms(known) >= message.at_ms:
            return False
        try:
            proposed(state, proposal)
        except OptionsError:
            return False
        self._proposals[proposal.sender] = proposal
        self.revision += 1
        self._forget_votes(state)
        return True

    def vote(self, state: LedgerState, vote: Verified) -> bool:
        """Take a vote on a proposal that is known. Returns whether it is new.

        Only a yes can count in the ledger. So a yes replaces a no of the same member, which no honest member sends, and
        all members that see both come to the same.
        """
        message = vote.message
        assert isinstance(message, OptionsVote)
        if message.proposal not in self._ids(state):
            return False
        try:
            check_vote(state, vote)
        except OptionsError:
            return False
        votes = self._votes.setdefault(vote.sender, {})
        known = votes.get(message.proposal)
        if known is not None and (_accepts(known) or not message.accepts):
            return False
        if known is None and len(votes) >= MAX_VOTES_PER_MEMBER:
            del votes[next(iter(votes))]
        votes[message.proposal] = vote
        self.revision += 1
        return True

    def forget_closed(self, state: LedgerState) -> None:
        """Drop the proposals that can no longer be decided, and all votes but those of members on the others."""
        if not self._proposals:
            return
        for proposer, proposal in list(self._proposals.items()):
            try:
                proposed(state, proposal)
            except OptionsError:
                del self._proposals[proposer]
                self.revision += 1
        self._forget_votes(state)

    def _forget_votes(self, state: LedgerState) -> None:
        ids = self._ids(state)
        kept = {
            voter: {one: vote for one, vote in votes.items() if one in ids}
            for voter, votes in self._votes.items()
            if state.member(voter) is not None
        }
        self._votes = {voter: votes for voter, votes in kept.items() if votes}

    def _ids(self, state: LedgerState) -> dict[bytes, Verified]:
        return {id_of(one, state.federation): one for one in self._proposals.values()}

    def listed(self, state: LedgerState) -> tuple[OpenProposal, ...]:
        """Return the open proposals, the oldest first by their proposers' clocks."""
        if not self._proposals:
            return ()
        needed = votes_needed(state)
        found = []
        for one, proposal in sorted(self._ids(state).items(), key=lambda item: (_made_ms(item[1]), item[0])):
            votes = [self._votes[voter][one] for voter in state.keys if one in self._votes.get(voter, {})]
            yes, no = (tuple(vote for vote in votes if _accepts(vote) is said) for said in (True, False))
            found.append(OpenProposal(one, proposal, yes, no, needed, len(state.members)))
        return tuple(found)

    def of(self, state: LedgerState, proposal: bytes) -> OpenProposal | None:
        """Return the open proposal with this id."""
        return next((one for one in self.listed(state) if one.id == proposal), None)

    def decidable(self, state: LedgerState) -> Iterator[tuple[Amend, bytes]]:
        """Yield the changes for which the votes suffice, each with its proposer."""
        for one in self.listed(state):
            if len(one.accepting) >= one.needed:
                votes = tuple(vote.raw for vote in one.accepting[: one.needed])
                yield Amend(one.envelope.raw, votes), one.envelope.sender

    def forget(self, proposer: bytes) -> None:
        """Drop the proposal of a member."""
        self._proposals.pop(proposer, None)
        self.revision += 1

    @property
    def held(self) -> tuple[int, int]:
        """The number of proposals, and the largest number of votes of one member."""
        return len(self._proposals), max(map(len, self._votes.values()), default=0)


def _made_ms(proposal: Verified) -> int:
    assert isinstance(proposal.message, OptionsProposal)
    return proposal.message.at_ms


def _accepts(vote: Verified) -> bool:
    assert isinstance(vote.message, OptionsVote)
    return vote.message.accepts
