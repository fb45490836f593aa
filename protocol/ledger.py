"""The ledger as a fold: a state, and what each kind of block makes of it.

Everything here follows from the blocks alone, so that anyone can replay it from genesis. What a member must
check besides, at the moment it votes (signed acks, the sum itself, an invite's expiry), stands in
:mod:`.proposals`.

States of a round, and the blocks that move between them::

    waiting  --Membership(n >= min_peers)-->  sharing  --Contributors-->  summing  --Model, Void-->  sharing |
    waiting | finished
                                              sharing  --Void----------------------------------->  sharing |
                                              waiting
    a Membership block may be decided while waiting, sharing or finished; it never ends a round
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from ..crypto.identity import is_usable
from .admission import InviteError, check_bearer, read_ticket
from .blocks import (
    Block,
    Contributors,
    Depart,
    Evict,
    Join,
    Membership,
    Model,
    Void,
    block_hash,
    read_block,
    wide_value,
)
from .committee import Committee
from .contribution import RoundKind, are_possible_counts, layout_of, setup_sums_of
from .envelope import Rejected, Verified, verify
from .evidence import double_vote, wrong_sum
from .genesis import Genesis
from .limits import MAX_MEMBERS
from .messages import CertifiedBlock, Complaint, Deal, JoinRequest, LeaveRequest, Precommit
from .wire import DecodeError


class LedgerError(ValueError):
    """A block that does not follow from the ledger; says at which height and why."""


class Phase(StrEnum):
    """Where the current round stands."""

    WAITING = "waiting"
    SHARING = "sharing"
    SUMMING = "summing"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Member:
    """An admitted member; ``missed`` counts the rounds in a row that it was not among the contributors."""

    key: bytes
    name: str
    missed: int = 0
    joined: int = 0
    """Height of the block that admitted it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The last Model block and who had to prove it: what evidence of a wrong sum is judged against."""

    height: int
    block: bytes
    committee: Committee
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """A member that left or was evicted at ``height``.

    An old request of it cannot be replayed; a proven liar stays out.
    """

    key: bytes
    height: int
    barred: bool


@dataclass(frozen=True)
class LedgerState:
    """What the blocks up to ``height`` say. Immutable; :func:`apply` makes the next one."""

    genesis: Genesis
    federation: bytes
    height: int
    head: bytes
    members: tuple[Member, ...]
    phase: Phase
    round: int
    trained: int
    committee: Committee
    contributors: Contributors | None
    weights: bytes
    beacon: bytes
    totals: tuple[int, ...] | None
    sums: tuple[int, ...] | None
    settled: Settled | None
    failed: tuple[bytes, ...]
    """Whose sum on this base model was the first to fail, if one did: somebody may have opened it all the same."""
    ticket_uses: tuple[tuple[bytes, int], ...]
    gone: tuple[Gone, ...]

    def __hash__(self) -> int:
        return hash(self.head)  # the rest follows from it

    @property
    def kind(self) -> RoundKind:
        """What the current round is for."""
        if self.genesis.setup_sums and self.totals is None:
            return "setup"
        if self.genesis.rounds and self.trained >= self.genesis.rounds:
            return "evaluate"
        return "train"

    @property
    def is_measured(self) -> bool:
        """Whether the loss and metrics on the current base model are public from a federation that this one continues.

        Then nobody may contribute them again. They follow from model and data, so the two sums would differ by
        exactly the numbers of the members that are in one of them only.
        """
        return self.genesis.is_evaluated and self.weights == self.genesis.weights

    @cached_property
    def _by_key(self) -> dict[bytes, Member]:
        return {member.key: member for member in self.members}

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """Public keys of the members, ascending."""
        return tuple(self._by_key)

    def member(self, key: bytes) -> Member | None:
        """Return the member with this key."""
        return self._by_key.get(key)

    @cached_property
    def audience(self) -> tuple[bytes, ...]:
        """Who EVERYONE is: the members, and who belongs to the current round still."""
        return tuple(dict.fromkeys((*self.keys, *self.committee.members)))

    def proposer(self, view: int) -> bytes:
        """Return whose turn it is at the next height in this view (DESIGN section 7)."""
        order = self.committee.order(self.beacon)
        return order[(self.height + 1 + view) % len(order)]


def genesis_state(genesis: Genesis) -> LedgerState:
    """Return the state at height 0: the founder alone."""
    founder = Member(genesis.founder, genesis.founder_name)
    return LedgerState(
        genesis=genesis,
        federation=genesis.federation,
        height=0,
        head=genesis.federation,
        members=(founder,),
        phase=Phase.WAITING,
        round=0 if genesis.setup_sums and genesis.totals is None else 1,
        trained=0,
        committee=Committee((founder.key,), genesis.threshold),
        contributors=None,
        weights=genesis.weights,
        beacon=genesis.federation,
        totals=genesis.totals,
        sums=None,
        settled=None,
        failed=(),
        ticket_uses=(),
        gone=tuple(Gone(key, 0, barred=True) for key in genesis.barred),
    )


@lru_cache(maxsize=64)
def apply(state: LedgerState, data: bytes) -> LedgerState:
    """Return the state after the block with these bytes.

    Kept for a while: a block is applied when it is proposed and again when it is decided, and where many members are
    simulated, by all of them.

    Raises:
        LedgerError: the block does not follow from ``state``.
    """
    try:
        block = read_block(data)
    except DecodeError as error:
        raise LedgerError(f"height {state.height + 1}: {error}") from None
    if block.height != state.height + 1:
        raise LedgerError(f"height {state.height + 1}: the block says height {block.height}")
    if block.previous != state.head:
        raise LedgerError(f"height {block.height}: the block does not follow from the block before it")
    try:
        after = _apply_body(state, block, data)
    except LedgerError as error:
        raise LedgerError(f"height {block.height}: {error}") from None
    return replace(after, height=block.height, head=block_hash(data))


def _apply_body(state: LedgerState, block: Block, data: bytes) -> LedgerState:
    match block.body:
        case Membership() as body:
            return _apply_membership(state, body)
        case Contributors() as body:
            _expect(state.phase is Phase.SHARING, f"contributors while {state.phase}")
            _expect(body.round == state.round, f"contributors of round {body.round} in round {state.round}")
            _expect(body.base == state.weights, "contributors on another base model")
            _expect(body.scheme == state.genesis.scheme, f"scheme {body.scheme} is not the federation's")
            check_sets(state.committee, body)
            return replace(state, phase=Phase.SUMMING, contributors=body)
        case Model() as body:
            return _apply_model(state, body, block.height, block_hash(data))
        case Void() as body:
            _expect(state.phase in (Phase.SHARING, Phase.SUMMING), f"void while {state.phase}")
            _expect(body.round == state.round, f"void of round {body.round} in round {state.round}")
            _expect(
                (body.reason == "sum") == (state.phase is Phase.SUMMING),
                f"void for {body.reason} while {state.phase}",
            )
            _expect(_ascending(body.names), "void names are not in order")
            _expect(set(body.names) <= set(state.committee.members), "void names somebody outside the round")
            return _next_round(replace(state, failed=state.failed or _contributing(state)))


def check_sets(committee: Committee, body: Contributors) -> None:
    """Check safety rule 2 and the rule on J of DESIGN section 8.

    Raises:
        LedgerError: a set is too small, out of order, or not of the committee.
    """
    dealers = tuple(index for index, _ in body.dealers)
    _expect(_ascending(dealers) and _ascending(body.holders), "contributors or holders are not in order")
    _expect(max(dealers) < committee.n and max(body.holders) < committee.n, "a contributor is not of the round")
    _expect(
        len(dealers) >= committee.min_contributors,
        f"{len(dealers)} contributors, but at least {committee.min_contributors} must be summed (K+1)",
    )
    _expect(
        len(body.holders) >= committee.sum_quorum,
        f"{len(body.holders)} holders, but at least {committee.sum_quorum} are needed (K+f)",
    )


def _apply_model(state: LedgerState, body: Model, height: int, digest: bytes) -> LedgerState:
    _expect(state.phase is Phase.SUMMING and state.contributors is not None, f"model while {state.phase}")
    assert state.contributors is not None
    _expect(body.round == state.round, f"model of round {body.round} in round {state.round}")
    _expect(len(body.sums) == layout_of(state.genesis, state.kind).wide, "model with the wrong number of sums")
    _expect(state.kind == "train" or body.weights == state.weights, f"a {state.kind} round changes the weights")
    sums = tuple(wide_value(one) for one in body.sums)
    counted = len(state.contributors.dealers), state.genesis.examples_ref
    _expect(are_possible_counts(sums[0], sums[1], *counted), "model with an impossible example count")
    present = _contributing(state)
    members = tuple(
        replace(
            member,
            missed=0 if member.key in present else member.missed + (member.key in state.committee.members),
        )
        for member in state.members
    )
    ended = replace(
        state,
        members=members,
        trained=state.trained + (state.kind == "train"),
        weights=body.weights,
        beacon=body.beacon,
        totals=setup_sums_of(sums) if state.kind == "setup" else state.totals,
        sums=sums,
        settled=Settled(height, digest, state.committee, state.contributors.holders),
        failed=(),
    )
    if state.kind == "evaluate":
        return replace(_next_round(ended), phase=Phase.FINISHED)
    return _next_round(ended)


def _contributing(state: LedgerState) -> tuple[bytes, ...]:
    """Return who contributes to the sum that is open, if one is."""
    dealers = state.contributors.dealers if state.contributors is not None else ()
    return tuple(state.committee.members[index] for index, _ in dealers)


def _next_round(state: LedgerState) -> LedgerState:
    return _open_round(replace(state, round=state.round + 1, contributors=None, phase=Phase.WAITING))


def _open_round(state: LedgerState) -> LedgerState:
    """Fix the committee: of the round that begins now, or of the wait for enough members."""
    committee = Committee(state.keys, state.genesis.threshold)
    phase = Phase.SHARING if len(state.members) >= state.genesis.min_peers else Phase.WAITING
    return replace(state, committee=committee, phase=phase)


def _apply_membership(state: LedgerState, body: Membership) -> LedgerState:
    _expect(state.phase is not Phase.SUMMING, "membership changes while a sum is open")
    for change in body.changes:
        state = apply_change(state, change)
    if state.phase is Phase.WAITING:
        return _open_round(state)
    if state.phase is Phase.FINISHED:
        return replace(state, committee=Committee(state.keys, state.genesis.threshold))
    return state


def apply_change(state: LedgerState, change: Join | Depart | Evict) -> LedgerState:
    """Return the state with one change of the membership made.

    Raises:
        LedgerError: the change is not justified by what it carries.
    """
    barred = False
    match change:
        case Join(request=raw):
            return _apply_join(state, _request(raw, state.federation, JoinRequest))
        case Depart(request=raw):
            request = _request(raw, state.federation, LeaveRequest)
            gone = request.sender
            member = state.member(gone)
            _expect(member is not None and member.joined < request.height, "a leave of somebody who is no member")
        case Evict(member=gone) as evict:
            _expect(state.member(gone) is not None, "an eviction of somebody who is no member")
            _check_eviction(state, evict)
            barred = evict.reason != "silent"
    _expect(len(state.members) > 1, "the last member cannot be removed")
    members = tuple(member for member in state.members if member.key != gone)
    record = Gone(gone, state.height + 1, barred)
    return replace(state, members=members, gone=(*(one for one in state.gone if one.key != gone), record))


def _apply_join(state: LedgerState, request: Verified) -> LedgerState:
    message = request.message
    assert isinstance(message, JoinRequest)
    _expect(state.member(request.sender) is None, "a join of somebody who is a member")
    _expect(len(state.members) < MAX_MEMBERS, f"the federation has its {MAX_MEMBERS} members")
    _expect(is_usable(request.sender), "a join with a key for which no share can be sealed")
    _expect(message.name.isprintable(), "a join with a name that cannot be printed")
    _expect(message.model == state.genesis.model, "a join with another model")
    left = next((one for one in state.gone if one.key == request.sender), None)
    if left is not None:
        _expect(not left.barred, "a join of somebody who was evicted for cheating")
        _expect(request.height > left.height, "a join request from before its sender left")
    uses = state.ticket_uses
    if state.genesis.admit == "roster":
        _expect(request.sender in state.genesis.roster, "a join of somebody who is not on the roster")
    elif state.genesis.admit == "invite":
        uses = _spend_ticket(state, message, request.sender)
    members = sorted(
        (*state.members, Member(request.sender, message.name, 0, state.height + 1)),
        key=lambda member: member.key,
    )
    return replace(state, members=tuple(members), ticket_uses=uses)


def _spend_ticket(state: LedgerState, message: JoinRequest, newcomer: bytes) -> tuple[tuple[bytes, int], ...]:
    try:
        ticket = read_ticket(message.ticket)
    except InviteError as error:
        raise LedgerError(str(error)) from None
    _expect(ticket.federation == state.federation, "the invite is for another federation")
    _expect(state.member(ticket.inviter) is not None, "the invite was made by somebody who is no member")
    _expect(check_bearer(ticket, newcomer, message.ticket_signature), "the invite is not proved by the newcomer")
    spent = dict(state.ticket_uses)
    used = spent.get(ticket.key, 0)
    _expect(used < ticket.uses, f"the invite was for {ticket.uses} use(s), and all are spent")
    spent[ticket.key] = used + 1
    return tuple(spent.items())


def _check_eviction(state: LedgerState, evict: Evict) -> None:
    member = state.member(evict.member)
    assert member is not None
    if evict.reason == "silent":
        limit = state.genesis.evict_after_rounds
        _expect(limit > 0 and member.missed >= limit, f"silent for {member.missed} rounds, and {limit} are needed")
        return
    _expect(state.genesis.evict_on_proof, "this federation does not evict on proof")
    evidence = []
    for raw in evict.evidence:
        one = verify(raw, state.federation)
        if isinstance(one, Rejected):
            raise LedgerError(f"evidence: {one.reason}")
        evidence.append(one)
    match evict.reason:
        case "double-vote":
            _expect(double_vote(evidence) == evict.member, "the evidence shows no double vote of this member")
        case "wrong-sum":
            settled = state.settled
            # In plain averaging the fingerprints lie on no polynomial, and one who signs a false one can make it look
            # as if the others' were off.
            _expect(state.genesis.scheme != "plain", "a plain sum proves nothing about anybody")
            _expect(settled is not None, "there is no sum to judge")
            assert settled is not None
            liars = wrong_sum(evidence, settled.height, settled.block, settled.committee, settled.holders)
            _expect(evict.member in liars, "the evidence shows no wrong sum of this member")
        case "bad-dealing":
            # The opened share is large and stays out of the ledger: each voter checked it; here stands who
            # vouches for it.
            _expect(
                len(evidence) == 1 and isinstance(evidence[0].message, Complaint),
                "the evidence is no complaint",
            )
            complaint = evidence[0]
            assert isinstance(complaint.message, Complaint)
            deal = verify(complaint.message.deal, state.federation)
            _expect(
                isinstance(deal, Verified) and isinstance(deal.message, Deal) and deal.sender == evict.member,
                "the complaint is about no dealing of this member",
            )
            holder = complaint.sender
            _expect(
                state.member(holder) is not None or state.committee.index(holder) is not None,
                "the complaint is of somebody who is no member",
            )


def _request(raw: bytes, federation: bytes, kind: type[JoinRequest] | type[LeaveRequest]) -> Verified:
    request = verify(raw, federation)
    if isinstance(request, Rejected):
        raise LedgerError(f"request: {request.reason}")
    _expect(isinstance(request.message, kind), "the request is of another kind")
    return request


def check_certificate(state: LedgerState, certified: CertifiedBlock) -> None:
    """Check that q distinct members of the next height's committee precommitted the block (safety rule 5).

    Raises:
        LedgerError: naming the height and what is wrong.
    """
    height = state.height + 1
    wanted = block_hash(certified.block)
    signers: set[bytes] = set()
    views: set[int] = set()
    for raw in certified.certificate:
        vote = verify(raw, state.federation)
        if isinstance(vote, Rejected):
            raise LedgerError(f"height {height}: certificate: {vote.reason}")
        same = isinstance(vote.message, Precommit) and vote.message.block == wanted and vote.height == height
        if not same:
            raise LedgerError(f"height {height}: certificate: a vote is not for this block")
        if state.committee.index(vote.sender) is None:
            raise LedgerError(f"height {height}: certificate: a signer is not of the committee")
        signers.add(vote.sender)
        views.add(vote.view)
    if len(views) > 1:
        raise LedgerError(f"height {height}: certificate: the votes are of different views")
    if len(signers) < state.committee.quorum:
        raise LedgerError(
            f"height {height}: certificate: {len(signers)} signers, but {state.committee.quorum} are needed"
        )


def extend(state: LedgerState, certified: CertifiedBlock) -> LedgerState:
    """Check a certified block completely and return the state after it.

    Raises:
        LedgerError: the certificate or the block is wrong.
    """
    check_certificate(state, certified)
    return apply(state, certified.block)


def _ascending(values: tuple[Any, ...]) -> bool:
    return all(low < high for low, high in pairwise(values))


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LedgerError(otherwise)
