"""The options of the training that the members may change on the way, and what justifies a change.

The genesis says with which values a federation begins. A member proposes other ones
(:class:`..messages.kinds.OptionsProposal`), and the members vote. A change is justified by the proposal and by the
yes-votes of a quorum of the present members, n - f of them. At most f members lie, so a majority of the honest ones is
among the voters: neither liars alone nor a minority change an option.

Changes are numbered, and a proposal says which number it wants to have. A decided proposal has used up its number, so
neither it nor any proposal from before it can be decided later, whatever votes for it are kept somewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Protocol

import msgspec

from ..limits import PROPOSAL_ROUNDS
from ..messages.envelope import Peeked, Rejected, Verified, peek, verify
from ..messages.kinds import OptionsChange, OptionsProposal, OptionsVote, proposal_id
from .committee import Committee
from .genesis import Genesis, Stopping

_TYPED: Final = {"evict_after_rounds": "evict-after"}
"""Options that are typed otherwise than they are named here."""


class Joined(Protocol):
    """A member, as far as it matters here: :class:`.state.Member`."""

    @property
    def joined(self) -> int:
        """Height of the block that admitted it."""


class Ledger(Protocol):
    """What has to be known of the ledger to judge a proposal: :class:`.state.LedgerState`."""

    @property
    def federation(self) -> bytes:
        """The federation's id."""

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Public keys of the members."""

    @property
    def round(self) -> int:
        """The current round."""

    @property
    def trained(self) -> int:
        """Training rounds that ended with a model."""

    @property
    def agreed(self) -> "Options":
        """The options that were decided last."""

    @property
    def amendments(self) -> int:
        """Changes of the options so far."""

    def member(self, key: bytes) -> Joined | None:
        """Return the member with this key."""


class OptionsError(ValueError):
    """A proposal or vote that cannot count in this state of the ledger; says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """Values of the options. They mean what they mean in the genesis, also zero."""

    rounds: int
    patience: int
    min_peers: int
    evict_after_rounds: int
    min_delta_millionths: int = 0
    """As in the genesis. It never changes."""

    @property
    def stopping(self) -> Stopping | None:
        """When training ends before its last round; None: never."""
        if not self.patience:
            return None
        return Stopping(patience=self.patience, min_delta_millionths=self.min_delta_millionths)

    def ends_like(self, other: "Options") -> bool:
        """Whether training ends under the same conditions."""
        return (self.rounds, self.patience) == (other.rounds, other.patience)


def options_of(genesis: Genesis) -> Options:
    """Return the options with which a federation begins."""
    stopping = genesis.stopping
    return Options(
        rounds=genesis.rounds,
        patience=0 if stopping is None else stopping.patience,
        min_peers=genesis.min_peers,
        evict_after_rounds=genesis.evict_after_rounds,
        min_delta_millionths=0 if stopping is None else stopping.min_delta_millionths,
    )


def changed(options: Options, change: OptionsChange) -> Options:
    """Return the options after a change."""
    return replace(options, **{name: value for name, value in wanted(change).items() if value is not None})


def wanted(change: OptionsChange) -> dict[str, int | None]:
    """Return the values of a change by the names of the options; None for those that stay."""
    return msgspec.structs.asdict(change)


def told(change: OptionsChange) -> str:
    """Return a change in words, as the options are typed."""
    shown = {name: value for name, value in wanted(change).items() if value is not None}
    return ", ".join(f"--{_TYPED.get(name, name.replace('_', '-'))} {value}" for name, value in shown.items())


def votes_needed(state: Ledger) -> int:
    """Return how many of the present members have to accept a proposal: n - f, the quorum of all decisions."""
    return Committee(state.keys).quorum


def id_of(proposal: Peeked | Verified, federation: bytes) -> bytes:
    """Return the id of a proposal, by which votes name it."""
    assert isinstance(proposal.message, OptionsProposal)
    return proposal_id(federation, proposal.sender, proposal.height, proposal.message)


def amended(state: Ledger, raw: bytes, votes: Sequence[bytes]) -> Options:
    """Return the options after a change that carries this proposal and these votes.

    Raises:
        OptionsError: they do not justify it.
    """
    proposal = verify(raw, state.federation)
    if isinstance(proposal, Rejected):
        raise OptionsError(f"proposal: {proposal.reason}")
    _expect(isinstance(proposal.message, OptionsProposal), "the proposal is of another kind")
    options = proposed(state, proposal)
    _check_votes(state, id_of(proposal, state.federation), votes)
    return options


def proposed(state: Ledger, proposal: Peeked | Verified) -> Options:
    """Return the options that a proposal leads to, after a check that it could be decided now, given the votes.

    Raises:
        OptionsError: it could not.
    """
    message = proposal.message
    assert isinstance(message, OptionsProposal)
    _expect_member(state, proposal, "a proposal")
    turn = state.amendments + 1
    _expect(message.number == turn, f"the proposal is for change {message.number} of the options, and not {turn}")
    _expect(message.round <= state.round, f"a proposal of round {message.round} in round {state.round}")
    _expect(
        state.round <= message.round + PROPOSAL_ROUNDS,
        f"the proposal of round {message.round} has expired: {PROPOSAL_ROUNDS} rounds have passed",
    )
    rounds = message.change.rounds
    _expect(
        not rounds or rounds > state.trained,
        f"the proposal wants {rounds} rounds, and {state.trained} are trained already",
    )
    options = changed(state.agreed, message.change)
    _expect(options != state.agreed, "the proposal changes no option")
    return options


def check_vote(state: Ledger, vote: Peeked | Verified) -> None:
    """Check that a vote is by a present member, which has not joined since.

    Raises:
        OptionsError: it does not count.
    """
    _expect_member(state, vote, "a vote")


def _check_votes(state: Ledger, proposal: bytes, votes: Sequence[bytes]) -> None:
    """Check that exactly a quorum accepts: first all that the votes say, and only then each signature."""
    needed = votes_needed(state)
    _expect(len(votes) == needed, f"{len(votes)} votes, but exactly {needed} are needed")
    said = []
    for raw in votes:
        vote = peek(raw, state.federation)
        if isinstance(vote, Rejected):
            raise OptionsError(f"vote: {vote.reason}")
        message = vote.message
        _expect(isinstance(message, OptionsVote) and message.proposal == proposal, "a vote is not on this proposal")
        _expect(isinstance(message, OptionsVote) and message.accepts, "a vote does not accept the proposal")
        check_vote(state, vote)
        said.append(vote.sender)
    _expect(all(low < high for low, high in pairwise(said)), "the voters are not in order, or one votes twice")
    for raw in votes:
        checked = verify(raw, state.federation)
        if isinstance(checked, Rejected):
            raise OptionsError(f"vote: {checked.reason}")


def _expect_member(state: Ledger, said: Peeked | Verified, what: str) -> None:
    member = state.member(said.sender)
    _expect(member is not None and member.joined < said.height, f"{what} of somebody who is no member")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OptionsError(otherwise)
