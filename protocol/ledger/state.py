"""The ledger as a fold: a state, and what each kind of block makes of it.

Everything here follows from the blocks alone, so anybody can replay the ledger from genesis. What a voter must check in
addition, at the moment of its vote, stands in :mod:`..agreement.validity` (signed acks, an invite's expiry) and in
:mod:`..round.summing` (the sum itself).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Final

from ...crypto.identity.identity import is_usable
from ..limits import MAX_MEMBERS, MAX_PROVED_MEMBERS
from ..messages.encoding import DecodeError
from ..messages.envelope import Rejected, Verified, verify
from ..messages.kinds import Complaint, Deal, JoinRequest, LeaveRequest
from ..scheme_registry import SCHEMES
from .bases import Bases, Repeat
from .blocks import (
    Amend,
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
from .contribution import WIDE_UNIT, Layout, RoundKind, are_possible_counts, layout_of, setup_sums_of
from .evidence import contradiction, wrong_sum
from .genesis import Genesis, is_private, is_readable
from .norms import next_quarters, norm_of
from .options import Options, OptionsError, amended, options_of
from .phases import PHASES, Phase, PhaseInput
from .stopping import Progress, after_round
from .terms import Terms, wrong_proof
from .tickets import InviteError, Ticket, check_bearer, read_ticket

NO_MEMBERS_INVITE: Final = "the invite was made by somebody who is no member"


class LedgerError(ValueError):
    """A block or change that does not follow from the ledger; says why, and of a block at which height."""


_JUDGED_SUMS: Final = 64
"""Decided sums, the newest ones, about which proof of a wrong sum counts."""


_JUDGED_ROUNDS: Final = 16
"""Rounds, the newest ones before the current one, about which proof of a false dealing counts."""


@dataclass(frozen=True, slots=True)
class Member:
    """An admitted member."""

    key: bytes
    name: str
    missed: int = 0
    """Rounds in a row, of those that brought a model and had it in the committee, to which it did not contribute."""
    joined: int = 0
    """Height of the block that admitted it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A decided block whose votes proved a sum; evidence of a wrong sum is judged against it."""

    height: int
    block: bytes
    committee: Committee


@dataclass(frozen=True, slots=True)
class Gone:
    """A member that left or was evicted at ``height``.

    A request to join that it signed before cannot be replayed. A proven liar (``barred``) stays out.
    """

    key: bytes
    height: int
    barred: bool


@dataclass(frozen=True)
class LedgerState:
    """What the blocks up to ``height`` say. Immutable; :func:`apply` makes the next state."""

    genesis: Genesis
    federation: bytes
    height: int
    head: bytes
    members: tuple[Member, ...]
    phase: Phase
    round: int
    opened: int
    """Height of the block with which the round, or the wait for it, began; later newcomers have no part in it."""
    trained: int
    """Training rounds that ended with a model."""
    committee: Committee
    contributors: Contributors | None
    weights_hash: bytes
    beacon: bytes
    totals: tuple[int, ...] | None
    sums: tuple[int, ...] | None
    settled: Settled | None
    settled_before: tuple[Settled, ...]
    """The sums settled before, the newest first. Nobody is evicted while a sum is open, nor by a liar whose turn it is
    to propose, so proof of a wrong sum may have to wait for some rounds.
    """
    repeat: Repeat | None
    bases: Bases
    """The sums that were decided on earlier base models, since a model may equal an earlier one."""
    quarters: int | None
    """The bound of this round's updates (:mod:`.norms`), where dealings prove themselves."""
    past_rounds: tuple[tuple[Terms, Committee], ...]
    """Where dealings prove themselves, the newest rounds before this one. False proofs are judged against them."""
    progress: Progress | None
    """The best loss so far; None while there is none, and if the options have no ``stopping``."""
    ticket_uses: tuple[tuple[bytes, int], ...]
    """The key of each ticket that was used, and how often."""
    gone: Mapping[bytes, Gone]
    """By key. No entry is ever dropped: a request to join may be of any age, and without the entry a request from
    before a member left would admit it again.
    """
    options: Options
    """The options of the current round, or of the wait for one."""
    agreed: Options
    """The options that were decided last; they count from the next round on."""
    amendments: int = 0
    """Changes of the options so far."""
    failed: RoundKind | None = None
    """What the sum was for that failed on this base model and is repeated now; None if none has to be."""
    evaluated: tuple[bytes, ...] = ()
    """The models whose evaluation was decided, by hash."""
    final_sum: Repeat | None = None
    """The first evaluation whose contributors were decided; the final metrics are of no other one."""

    def __hash__(self) -> int:
        return hash(self.head)  # the rest follows from the head

    @property
    def kind(self) -> RoundKind:
        """What the current round is for."""
        if self.genesis.setup_sums and self.totals is None:
            return "setup"
        if self.failed is not None:
            return self.failed  # whatever the options say by now: another kind of round would be no repetition
        if (self.options.rounds and self.trained >= self.options.rounds) or self.has_stopped:
            return "evaluate"
        return "train"

    @property
    def has_stopped(self) -> bool:
        """Whether training ended because the losses no longer fell."""
        stopping, progress = self.options.stopping, self.progress
        return stopping is not None and progress is not None and progress.stale >= stopping.patience

    @property
    def is_measured(self) -> bool:
        """Whether loss and metrics of the current base model are public, from an evaluation that was decided.

        It was decided here, and training went on after it, or in the federation that this one continues. Nobody may
        contribute them again. They follow from model and data, so the two sums would differ by exactly the numbers of
        the members that are in one of the sums only.
        """
        was_before = self.genesis.is_evaluated and self.weights_hash == self.genesis.weights_hash
        return was_before or (self.weights_hash in self.evaluated and is_private(self.genesis.scheme))

    @property
    def tells_final(self) -> bool:
        """Whether an evaluation would add up the final metrics.

        They may be the same for any model, so they are added up once, over one set of contributors. Only a repetition
        of that very sum adds them up again.
        """
        return self.final_sum is None or self.repeat == self.final_sum

    @property
    def layout(self) -> Layout:
        """The layout of the contributions to the current round."""
        return layout_of(self.genesis, self.kind, self.tells_final)

    @property
    def clip(self) -> float:
        """The bound of an update: of each element, or where dealings prove themselves of its Euclidean norm."""
        return 2.0**self.genesis.clip_exponent if self.quarters is None else norm_of(self.quarters)

    @property
    def terms(self) -> Terms:
        """What the dealings of this round are bound to."""
        return Terms(self.federation, self.round, self.weights_hash, self.committee.members, self.layout)

    @cached_property
    def _by_key(self) -> dict[bytes, Member]:
        return {member.key: member for member in self.members}

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """Public keys of the members, ascending."""
        return tuple(self._by_key)

    @property
    def required(self) -> tuple[bytes, ...] | None:
        """The exact contributors of the next sum, if a sum was decided on this base model before; None if not.

        They are those of the earlier sum, less proven liars.
        """
        if self.repeat is None:
            return None
        # A sum without the proven liars gives away nothing but their own numbers.
        liars = {one.key for one in self.gone.values() if one.barred}
        return tuple(key for key in self.repeat.contributors if key not in liars)

    @property
    def is_stuck(self) -> bool:
        """Whether a sum on this base model has to be repeated and never can be: contributors are gone, or too few."""
        required, committee = self.required, _committee_of(self)
        return required is not None and (
            len(required) < committee.min_contributors or not set(required) <= set(committee.members)
        )

    def member(self, key: bytes) -> Member | None:
        """Return the member with this key."""
        return self._by_key.get(key)

    @property
    def judged_by(self) -> tuple[Settled, ...]:
        """The decided sums against which evidence of a wrong sum is judged, the newest first."""
        return (*((self.settled,) if self.settled is not None else ()), *self.settled_before)

    @property
    def departed(self) -> frozenset[int]:
        """Places in the committee of members that left or were evicted since the round began, even if they came back.

        They do not contribute: if such a sum failed, it could never be repeated. This follows from the ledger alone, so
        a member that was away meanwhile knows it, too.
        """
        found = ((place, self.member(key)) for place, key in enumerate(self.committee.members))
        return frozenset(place for place, member in found if member is None or member.joined > self.opened)

    def may_be_evicted(self, key: bytes) -> bool:
        """Whether proof against this key counts: it does for a member, and for one that left and could come back."""
        left = self.gone.get(key)
        return self.member(key) is not None or (left is not None and not left.barred)

    @cached_property
    def audience(self) -> tuple[bytes, ...]:
        """The receivers of a message to EVERYONE: the members, and those that still belong to the current round."""
        return tuple(dict.fromkeys((*self.keys, *self.committee.members)))

    def proposer(self, view: int) -> bytes:
        """Return the proposer of this view at the next height (docs/protocol.md, "Agreement")."""
        order = self.committee.order(self.beacon)
        return order[(self.height + 1 + view) % len(order)]


def genesis_state(genesis: Genesis) -> LedgerState:
    """Return the state at height 0: the founder alone."""
    founder, options = Member(genesis.founder, genesis.founder_name), options_of(genesis)
    return LedgerState(
        genesis=genesis,
        federation=genesis.federation,
        height=0,
        head=genesis.federation,
        members=(founder,),
        phase=Phase.WAITING,
        round=0 if genesis.setup_sums and genesis.totals is None else 1,
        opened=0,
        trained=0,
        committee=Committee((founder.key,), genesis.threshold),
        contributors=None,
        weights_hash=genesis.weights_hash,
        beacon=genesis.federation,
        totals=genesis.totals,
        sums=None,
        settled=None,
        settled_before=(),
        quarters=None if genesis.bounds is None else genesis.bounds.quarters,
        past_rounds=(),
        repeat=None,
        bases=Bases(),
        progress=None,
        ticket_uses=(),
        gone={key: Gone(key, 0, barred=True) for key in genesis.barred},
        options=options,
        agreed=options,
    )


@lru_cache(maxsize=64)
def apply(state: LedgerState, data: bytes) -> LedgerState:
    """Return the state after the block with these bytes.

    Results are cached: a block is applied when it is proposed and again when it is decided, and in a simulation by
    every member.

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
            _expect(body.base_hash == state.weights_hash, "contributors on another base model")
            _expect(body.scheme == state.genesis.scheme, f"scheme {body.scheme} is not the federation's")
            check_sets(state.committee, body)
            summed = tuple(state.committee.members[index] for index, _ in body.dealers)
            _expect(state.required in (None, summed), "a sum on the same base model has other contributors")
            gone = state.departed & {index for index, _ in body.dealers}
            _expect(not gone, "a contributor is no member any more")
            return replace(state, phase=PHASES.after(state.phase, PhaseInput.CONTRIBUTORS_DECIDED), contributors=body)
        case Model() as body:
            return _apply_model(state, body, block.height, block_hash(data))
        case Void() as body:
            _expect(state.phase in (Phase.SHARING, Phase.SUMMING), f"void while {state.phase}")
            _expect(body.round == state.round, f"void of round {body.round} in round {state.round}")
            _expect(
                (body.reason == "shares") == (state.phase is Phase.SHARING),
                f"void for {body.reason} while {state.phase}",
            )
            _expect(
                (body.vector_hash is not None) == (body.reason == "encoding"), "a void with the wrong claim of a sum"
            )
            _expect(_ascending(body.names), "void names are not in order")
            _expect(set(body.names) <= set(state.committee.members), "void names somebody outside the round")
            if body.vector_hash is not None:
                state = _settling(state, block.height, block_hash(data))
            # A sum that fails after its contributors were decided has to be repeated with these (safety rule 8).
            repeat = state.repeat or _decided_sum(state)
            failed = state.failed or (state.kind if _decided_sum(state) is not None else None)
            return _next_round(replace(state, repeat=repeat, failed=failed, final_sum=_final_sum(state)), state)


def check_sets(committee: Committee, body: Contributors) -> None:
    """Check that U and J are well-formed and large enough: |U| >= K+1 (safety rule 2) and |J| >= K+f.

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
    _expect(len(body.sums) == state.layout.wide, "model with the wrong number of sums")
    _expect(
        state.kind == "train" or body.weights_hash == state.weights_hash, f"a {state.kind} round changes the weights"
    )
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
    progress, stopping = state.progress, state.options.stopping
    if stopping is not None and state.kind == "train":
        progress = after_round(progress, stopping, sums)
    quarters = state.quarters
    if quarters is not None and state.layout.has_bit and state.kind == "train":
        short = min(max(0, sums[-1] // WIDE_UNIT), counted[0])
        quarters = next_quarters(quarters, short, counted[0], state.committee.f)
    decided, bases = state.repeat or _decided_sum(state), state.bases
    if decided is not None and state.kind == "train":
        # The new model, or a later one, may equal this base: then the same contributors are required again.
        bases = bases.having(state.weights_hash, decided)
    ended = replace(
        _settling(state, height, digest),
        members=members,
        trained=state.trained + (state.kind == "train"),
        weights_hash=body.weights_hash,
        beacon=body.beacon,
        totals=setup_sums_of(sums) if state.kind == "setup" else state.totals,
        sums=sums,
        quarters=quarters,
        progress=progress,
        repeat=bases.get(body.weights_hash) if state.kind == "train" else None,
        bases=bases,
        failed=None,
        final_sum=_final_sum(state),
    )
    if state.kind != "evaluate":
        return _next_round(ended, state)
    ended = _with_agreed(replace(ended, evaluated=(*state.evaluated, state.weights_hash)))
    if ended.kind == "evaluate":
        finished = PHASES.after(state.phase, PhaseInput.FINAL_MODEL_EVALUATED)
        return replace(_next_round(ended, state), phase=finished)
    return _next_round(_training_on(ended), state)


def _final_sum(state: LedgerState) -> Repeat | None:
    """Return the evaluation that the final metrics are of, once the round of this state is over."""
    return state.final_sum or (_decided_sum(state) if state.kind == "evaluate" else None)


def _with_agreed(state: LedgerState) -> LedgerState:
    """Return the state in which the options that were decided last count.

    If they end training otherwise, rounds without a better loss are counted anew. If not, training that has stopped
    could not go on.
    """
    if state.options == state.agreed:
        return state
    progress = state.progress
    if progress is not None and not state.agreed.ends_like(state.options):
        progress = replace(progress, stale=0)
    return replace(state, options=state.agreed, progress=progress)


def _training_on(state: LedgerState) -> LedgerState:
    """Return the state in which training goes on from a model that was evaluated.

    A train sum may have been decided on an equal model before. Then it is repeated, as everywhere (safety rule 8).
    """
    return replace(state, repeat=state.bases.get(state.weights_hash))


def _settling(state: LedgerState, height: int, block: bytes) -> LedgerState:
    before = state.judged_by[: _JUDGED_SUMS - 1]
    return replace(state, settled=Settled(height, block, state.committee), settled_before=before)


def _contributing(state: LedgerState) -> tuple[bytes, ...]:
    """Return the keys of the contributors of the open sum; none if no sum is open."""
    dealers = state.contributors.dealers if state.contributors is not None else ()
    return tuple(state.committee.members[index] for index, _ in dealers)


def _decided_sum(state: LedgerState) -> Repeat | None:
    """Return the open sum as one to repeat on the same base; None if none is open, or the scheme hides nothing."""
    if state.contributors is None or not is_private(state.genesis.scheme):
        return None
    return Repeat(_contributing(state), state.committee.members, state.committee.threshold)


def _next_round(state: LedgerState, ended: LedgerState) -> LedgerState:
    """Begin the round after the one of ``ended``, of which ``state`` is what it left behind."""
    past = state.past_rounds
    if state.genesis.bounds is not None:
        past = ((ended.terms, ended.committee), *past[: _JUDGED_ROUNDS - 1])
    return _open_round(replace(state, round=state.round + 1, contributors=None, past_rounds=past))


def _open_round(state: LedgerState) -> LedgerState:
    """Fix options and committee of the round that begins now, or of the wait for enough members."""
    state = _with_agreed(state)
    waits = len(state.members) < state.options.min_peers or state.is_stuck
    return replace(
        state,
        opened=state.height + 1,
        committee=Committee(state.keys, state.genesis.threshold) if waits else _committee_of(state),
        phase=PHASES.after(state.phase, PhaseInput.ROUND_WAITS if waits else PhaseInput.ROUND_BEGINS),
    )


def _committee_of(state: LedgerState) -> Committee:
    """Return the members of the next round: all, or the rest of the committee of a sum that has to be repeated.

    While a sum has to be repeated, newcomers wait until the base model has moved on. With them K would rise, and the
    required contributors could be fewer than K+1.
    """
    if state.repeat is None:
        return Committee(state.keys, state.genesis.threshold)
    left = tuple(key for key in state.repeat.committee if state.member(key) is not None)
    return Committee(left, state.repeat.threshold)


def _apply_membership(state: LedgerState, body: Membership) -> LedgerState:
    _expect(state.phase is not Phase.SUMMING, "membership changes while a sum is open")
    for change in body.changes:
        state = apply_change(state, change)
    if state.phase is Phase.WAITING:
        return _open_round(state)
    if state.phase is Phase.FINISHED:
        state = _with_agreed(state)
        if state.kind != "evaluate":
            return _open_round(_training_on(state))
        return replace(state, committee=Committee(state.keys, state.genesis.threshold))
    return state


def apply_change(state: LedgerState, change: Join | Depart | Evict | Amend) -> LedgerState:
    """Return the state with one change of the membership or of the options made.

    Raises:
        LedgerError: the change is not justified by what it carries.
    """
    barred = False
    match change:
        case Amend(proposal=raw, votes=votes):
            try:
                return replace(state, agreed=amended(state, raw, votes), amendments=state.amendments + 1)
            except OptionsError as error:
                raise LedgerError(str(error)) from None
        case Join(request=raw):
            return admit(state, prove_join(state.genesis, _request(raw, state.federation, JoinRequest)))
        case Depart(request=raw):
            request = _request(raw, state.federation, LeaveRequest)
            gone = request.sender
            member = state.member(gone)
            _expect(member is not None and member.joined < request.height, "a leave of somebody who is no member")
            _expect_not_required(state, gone)
        case Evict(member=gone) as evict:
            _expect(state.may_be_evicted(gone), "an eviction of somebody who is no member")
            _check_eviction(state, evict)
            barred = evict.reason != "silent"
            if not barred:
                _expect_not_required(state, gone)
    members = tuple(member for member in state.members if member.key != gone)
    _expect(len(members) > 0, "the last member cannot be removed")
    # A member that left belongs to its round until that ends, and may be convicted then. The height stays that of its
    # leaving, since it limits what this member may read, and which requests to join are too old.
    height = state.height + 1 if len(members) < len(state.members) else state.gone[gone].height
    record = Gone(gone, height, barred)
    others = {key: one for key, one in state.gone.items() if key != gone}  # keeps the order of the decisions
    return replace(state, members=members, gone={**others, gone: record})


def _expect_not_required(state: LedgerState, gone: bytes) -> None:
    _expect(gone not in (state.required or ()), "the sum on this base model has to be repeated with this member first")


@dataclass(frozen=True, slots=True)
class ProvedJoin:
    """A join request that passed all checks that do not depend on the ledger's state; see :func:`prove_join`."""

    request: Verified
    ticket: Ticket | None
    """None if this federation admits without invites."""


def prove_join(genesis: Genesis, request: Verified) -> ProvedJoin:
    """Check everything about a join request that does not depend on the ledger's state, signatures above all.

    Signatures take time, so this is done once for each request; :func:`admit` checks the rest.

    Raises:
        LedgerError: the request can never be granted.
    """
    message = request.message
    assert isinstance(message, JoinRequest)
    _expect(is_usable(request.sender), "a join with a key for which no share can be sealed")
    _expect(is_readable(message.name), "a join with a name that cannot be printed, or is blank at an end")
    _expect(message.model == genesis.model, "a join with another model")
    if genesis.admit != "invite":
        return ProvedJoin(request, None)
    try:
        ticket = read_ticket(message.ticket)
    except InviteError as error:
        raise LedgerError(str(error)) from None
    _expect(ticket.federation == genesis.federation, "the invite is for another federation")
    proved = check_bearer(ticket, request.sender, message.ticket_signature)
    _expect(proved, "the invite is not proved by the newcomer")
    return ProvedJoin(request, ticket)


def admit(state: LedgerState, join: ProvedJoin) -> LedgerState:
    """Return the state with a newcomer admitted.

    Raises:
        LedgerError: the request cannot be granted now.
    """
    request, message = join.request, join.request.message
    assert isinstance(message, JoinRequest)
    _expect(state.member(request.sender) is None, "a join of somebody who is a member")
    most = MAX_MEMBERS if state.genesis.bounds is None else MAX_PROVED_MEMBERS
    _expect(len(state.members) < most, f"the federation has its {most} members")
    left = state.gone.get(request.sender)
    if left is not None:
        _expect(not left.barred, "a join of somebody who was evicted for cheating")
        _expect(request.height > left.height, "a join request from before its sender left")
    uses = state.ticket_uses
    if state.genesis.admit == "roster":
        _expect(request.sender in state.genesis.roster, "a join of somebody who is not on the roster")
    elif join.ticket is not None:
        uses = _spend_ticket(state, join.ticket)
    members = sorted(
        (*state.members, Member(request.sender, message.name, 0, state.height + 1)),
        key=lambda member: member.key,
    )
    return replace(state, members=tuple(members), ticket_uses=uses)


def _spend_ticket(state: LedgerState, ticket: Ticket) -> tuple[tuple[bytes, int], ...]:
    _expect(state.member(ticket.inviter) is not None, NO_MEMBERS_INVITE)
    spent = dict(state.ticket_uses)
    used = spent.get(ticket.key, 0)
    _expect(used < ticket.uses, f"the invite was for {ticket.uses} use(s), and all are spent")
    spent[ticket.key] = used + 1
    return tuple(spent.items())


def _check_eviction(state: LedgerState, evict: Evict) -> None:
    member = state.member(evict.member)
    if evict.reason in ("silent", "bad-dealing"):  # about one that has left, not every member can judge these
        _expect(member is not None, "an eviction of somebody who is no member")
    if evict.reason == "silent":
        assert member is not None
        limit = state.options.evict_after_rounds
        _expect(limit > 0 and member.missed >= limit, f"silent for {member.missed} rounds, and {limit} are needed")
        _expect(evict.evidence == (), "silence is proved by the ledger, not by evidence")
        return
    _expect(state.genesis.evict_on_proof, "this federation does not evict on proof")
    evidence = []
    for raw in evict.evidence:
        one = verify(raw, state.federation)
        if isinstance(one, Rejected):
            raise LedgerError(f"evidence: {one.reason}")
        evidence.append(one)
    match evict.reason:
        case "double-vote" | "double-deal" | "double-ack" | "false-vector":
            found = contradiction(evidence)
            _expect(found == (evict.member, evict.reason), f"the evidence shows no {evict.reason} of this member")
        case "wrong-sum":
            # In plain averaging the fingerprints lie on no polynomial, so a member that signs a false one could make
            # the others' look false.
            scheme = state.genesis.scheme
            _expect(SCHEMES[scheme].proves_liars, f"a {scheme} sum proves nothing about anybody")
            _expect(state.settled is not None, "there is no sum to judge")
            judged = (wrong_sum(evidence, one.height, one.block, one.committee) for one in state.judged_by)
            _expect(any(evict.member in liars for liars in judged), "the evidence shows no wrong sum of this member")
        case "false-proof":
            _expect(
                len(evidence) == 1
                and isinstance(evidence[0].message, Deal)
                and evidence[0].sender == evict.member
                and _has_false_proof(state, evidence[0]),
                "the evidence is no dealing of this member with a false proof",
            )
        case "bad-dealing":
            # The sealed box is large and stays out of the ledger: each voter opened it with the secret that the
            # complaint proves. The evidence shows the dealing, and the holder that vouches for the complaint.
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


def _has_false_proof(state: LedgerState, deal: Verified) -> bool:
    """Whether a dealing of this round, or of a recent one, does not prove what it should."""
    message = deal.message
    assert isinstance(message, Deal)
    for terms, committee in ((state.terms, state.committee), *state.past_rounds):
        place = committee.index(deal.sender)
        if terms.round == message.round and terms.layout.proved is not None and place is not None:
            return wrong_proof(terms, committee.threshold, place, message) is not None
    return False


def _request(raw: bytes, federation: bytes, kind: type[JoinRequest] | type[LeaveRequest]) -> Verified:
    request = verify(raw, federation)
    if isinstance(request, Rejected):
        raise LedgerError(f"request: {request.reason}")
    _expect(isinstance(request.message, kind), "the request is of another kind")
    return request


def _ascending(values: tuple[Any, ...]) -> bool:
    return all(low < high for low, high in pairwise(values))


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise LedgerError(otherwise)
