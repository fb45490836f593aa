"""Deciding the next block: Algorithm 1 (:mod:`.tendermint`) joined to the meaning of a block.

One :class:`Agreement` lives for one height. It proposes when it is this member's turn and there is something to
propose, checks what others propose, casts votes through the journal (:mod:`..vote_guard`), and hands the decided block
to the node. docs/protocol.md, "Agreement", explains the rules beyond the paper.

A method named ``_why_not_...`` or ``_wrong...`` returns what speaks against something, in words, and None if nothing
does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..context import Context
from ..events import Fetch, NoticeKind
from ..ledger.blocks import (
    Block,
    Body,
    Change,
    Contributors,
    Evict,
    Membership,
    Model,
    Void,
    block_hash,
    claimed_sum,
    read_block,
)
from ..ledger.evidence import contradiction
from ..ledger.genesis import is_private
from ..ledger.state import LedgerError, Phase, apply
from ..limits import DEAD_PROPOSER_TIMEOUT_MS, SUM_GRACE_MS, VIEW_HISTORY, VIEW_TIMEOUT_CAP_MS, VIEW_WINDOW
from ..messages.envelope import Verified, verify
from ..messages.kinds import Accusation, Precommit, Prevote, Proposal, SumShare
from ..records import ValueSeen, VoteCast
from ..round.summing import Summing
from ..timers import StageTimeout, SumGrace
from .false_sums import FalseSums
from .tendermint import Action, CastVote, Consensus, Decide, NewView, ProposeNow, Remember, Stage, StartTimeout
from .validity import (
    acks_behind,
    contributors_body,
    newcomers,
    wrong_choice,
    wrong_contributors,
    wrong_dealings,
    wrong_membership,
)

BYTES_PER_MS = 10_000
"""The least rate of a link that timeouts assume, where they allow for boxes, sum shares and W to travel."""


@dataclass(slots=True)
class _Candidate:
    """A proposed block, as far as it is known here."""

    data: bytes
    block: Block
    vector: bytes | None = field(default=None, repr=False)
    """W, if it came from the disk, or with a proposal whose view had not come yet."""


@dataclass(slots=True)
class Agreement:
    """One height's agreement, from this member's side."""

    ctx: Context
    decide: Callable[[bytes, tuple[bytes, ...]], None]
    height: int = field(init=False)
    consensus: Consensus = field(init=False)
    summing: Summing | None = field(init=False)
    """The sum that is open at this height, if one is."""
    _candidates: dict[bytes, _Candidate] = field(default_factory=dict)
    _proposed: dict[int, bytes] = field(default_factory=dict)
    """By view, the block hash of its first proposal, the only one that counts."""
    _waiting: dict[int, tuple[Verified, bytes]] = field(default_factory=dict)
    """By view, a proposal about a sum and its block hash; it waits for its view, or for W to be fetched or checked."""
    _turn: int | None = None
    """The view in which it is this member's turn and nothing could be proposed yet."""
    _waited: int | None = None
    """The view in which this member, as aggregator, has given the others' plain vectors the time to come."""
    _lacking: int = -1
    """The last view at the beginning of which not all contributors of the open sum were present."""
    _proposal: tuple[bytes, bytes | None] | None = None
    """This member's own latest proposal and its blob, to send again."""
    _named: set[bytes] = field(default_factory=set)
    """Members that the operator was told sent a false z."""
    _false_sums: FalseSums = field(default_factory=FalseSums)
    _proofs: dict[bytes, list[Evict]] = field(default_factory=dict)
    """By block about the sum, the evictions of members that sent a false z in a prevote for it."""
    _brought: dict[bytes, list[Verified]] = field(default_factory=dict)
    """By block, the prevotes that came with its latest proposal, or from the disk: they may prove its W."""
    _done: bool = False

    def __post_init__(self) -> None:
        ctx = self.ctx
        self.height = ctx.height
        self.summing = ctx.summing
        self.consensus = Consensus(
            ctx.state.committee, ctx.me, ctx.state.proposer, self._proves, wanted=self._is_wanted
        )

    # Life.

    def open(self, votes: list[VoteCast], values: list[ValueSeen]) -> None:
        """Start the height; after a restart, from the votes, lock and valid value that were durable."""
        for value in values:
            digest = block_hash(value.block)
            known = self._candidates.setdefault(digest, _Candidate(value.block, read_block(value.block)))
            known.vector = known.vector or value.vector  # only one of the two records has W
            self.consensus.restore_value(digest, value.view, value.locked)
        for vote in sorted(votes, key=lambda one: (one.view, one.kind)):
            self.consensus.restore_step(vote.view, Stage(vote.kind + 1))
            self._restore_vote(vote.envelope)
        for value in values:
            for raw in value.polka:
                self._restore_vote(raw)
            if value.polka:
                self._brought[block_hash(value.block)] = self._prevotes_among(value.polka)
        self._act(self.consensus.start())
        self.check_ready()

    def _restore_vote(self, raw: bytes) -> None:
        vote = verify(raw, self.ctx.state.federation)
        if isinstance(vote, Verified) and isinstance(vote.message, Prevote | Precommit):
            if vote.sender == self.ctx.me:
                kind = 0 if isinstance(vote.message, Prevote) else 1
                self.ctx.guard.record(vote.height, vote.view, kind, vote.message.block)
            self.consensus.enter_vote(vote)

    def check_ready(self) -> None:
        """See whether there is something to decide now; propose it if it is this member's turn."""
        if self._done:
            return
        if not self.consensus.ready and self._is_ready(self.consensus.view):
            self._act(self.consensus.on_ready())
        if self._turn is not None and self._turn == self.consensus.view and not self._done:
            self._propose_new(self._turn)

    def _is_ready(self, view: int) -> bool:
        """Whether there is something that could be proposed in this view."""
        ctx = self.ctx
        if ctx.state.phase is Phase.SUMMING:
            return self.can_open()
        return bool(self._proposable(view)) or self._may_go_on()

    def _is_wanted(self, view: int) -> bool:
        """Whether a view after the first is needed; it is once a round has begun, since only views can end that."""
        sharing, phase = self.ctx.sharing, self.ctx.state.phase
        has_begun = sharing is None or sharing.may_begin
        return phase is Phase.SUMMING or (phase is Phase.SHARING and has_begun) or self._is_ready(view)

    def _proposable(self, view: int) -> tuple[Change, ...]:
        """Return the changes of the membership that this member would propose in a view.

        Evictions as silent are for the first view only: a member that hears the accused one refuses the whole block,
        with all other changes in it.
        """
        changes = self._changes(only_provable=self._heeds_proofs_alone(view))
        return tuple(one for one in changes if not (view > 0 and isinstance(one, Evict) and one.reason == "silent"))

    def _changes(self, only_provable: bool = False) -> tuple[Change, ...]:
        """Return the changes of the membership that wait, less evictions as silent of members that are heard here."""
        found = self.ctx.pool.changes(self.ctx.state, self.ctx.now_ms, only_provable)
        if not found or not any(isinstance(one, Evict) and one.reason == "silent" for one in found):
            return found
        heard = self._heard()
        return tuple(
            one for one in found if not (isinstance(one, Evict) and one.reason == "silent" and one.member in heard)
        )

    def can_open(self) -> bool:
        """Whether enough possible holders of a share of the open sum are present; nothing can be decided before."""
        ctx, sharing = self.ctx, self.ctx.sharing
        if self.summing is None or sharing is None or not is_private(ctx.state.genesis.scheme):
            return True
        dealers = dict(self.summing.body.dealers)
        holders = {*self.summing.expected, *sharing.acks.holders_of(dealers)}
        members = self.summing.committee.members
        there = sum(members[index] in ctx.alive or members[index] == ctx.me for index in holders)
        return there >= self.summing.scheme.minimum(self.summing.choice)

    def _may_go_on(self) -> bool:
        """Whether the share phase can end: everything that is waited for has come, or the deadline has passed."""
        ctx, sharing, required = self.ctx, self.ctx.sharing, self.ctx.state.required
        if sharing is None or sharing.is_complete(required, ctx.alive, ctx.alive_changes):
            return sharing is not None
        if self._has_to_repeat():  # a failed sum is repeated with the same contributors, however long that takes
            return sharing.choice(required, ctx.alive, ctx.alive_changes) is not None and sharing.deadline_passed
        return sharing.deadline_passed

    def _has_to_repeat(self) -> bool:
        """Whether this round has to repeat a sum that failed.

        Not once a member of its committee is gone. Without that member the committee may be too small to sum the rest,
        for ever, while the next committee has a threshold that fits.
        """
        state, sharing = self.ctx.state, self.ctx.sharing
        if state.required is None or state.is_stuck or sharing is None:
            return False
        return all(state.member(one) is not None for one in sharing.committee.members)

    # Proposing.

    def _propose_new(self, view: int) -> None:
        """Line 18, getValue(): propose a new value; if there is none yet, remember the turn."""
        self._turn = view
        body = self._value(view)
        if body is None:
            return
        acks: tuple[bytes, ...] = ()
        vector = digest = None
        if isinstance(body, Contributors):
            assert self.ctx.sharing is not None
            acks = acks_behind(self.ctx.sharing, body, view)
        if claimed_sum(body) is not None:
            assert self.summing is not None
            opened = self.summing.outcome()
            assert opened is not None
            vector, digest = opened[1], claimed_sum(body)
        data = Block(self.ctx.height, self.ctx.state.head, body).encode()
        self._publish(Proposal(data, -1, acks, (), digest), vector, view)

    def _value(self, view: int) -> Membership | Contributors | Model | Void | None:
        """Return the body to propose in this view; None if there is nothing to decide yet.

        Changes of the membership come first. But a round that can go on does not wait for them in a later view, since
        that means that they were refused, nor right after the block before changed the membership. Otherwise members
        that come and go, or an eviction with a proof that only some have seen, would keep the round from ever going on.
        """
        ctx = self.ctx
        if ctx.state.phase is Phase.SUMMING:
            assert self.summing is not None
            opened, is_needed = self.summing.outcome(), self._why_not_give_up(view) is not None
            if opened is not None and (is_needed or self._has_open_sum(view)):
                return opened[0]
            if not is_needed and self._has_no_sum(view):
                late = tuple(ctx.state.committee.members[j] for j in self.summing.missing())
                return Void(ctx.state.round, "sum", late)
            return None
        sharing, may_go_on = ctx.sharing, self._may_go_on()
        if not (may_go_on and (view > 0 or ctx.just_changed)):
            changes = self._proposable(view)
            if changes:
                return Membership(changes)
        if sharing is None or not may_go_on:
            return None
        choice = sharing.choice(ctx.state.required, ctx.alive, ctx.alive_changes)
        if ctx.state.required is None and sharing.deadline_passed and view >= self._patience():
            choice = sharing.choice_by_proof() or choice
        if choice is None:
            return Void(ctx.state.round, "shares", sharing.missing())
        return contributors_body(ctx.state, choice)

    def _heeds_proofs_alone(self, view: int) -> bool:
        """Whether to propose only evictions that every member can judge, because a view was refused already.

        Not in a repetition: it cannot go on with a contributor that is known to deal falsely, and the eviction cannot
        wait for another height, since none comes before it.
        """
        return view > 0 and not self._has_to_repeat()

    def _why_not_give_up(self, view: int) -> str | None:
        """Say why the open sum must not be given up yet, as void without proof; None if it may be.

        A plain sum is lost with any contributor, and its repetition binds nobody. So it is given up at once if a
        contributor is proved to lie, or a quorum's vote for it proved nothing, and otherwise after some views.

        A secret sum is given up only after more views, when no open sum is left to insist on, in one of two cases:

        * All contributors are present to repeat it, and were present at the beginning of so many views that each could
          have given its sum share and its vote.
        * The honest members are too few to open and prove it. And either a quorum's vote for it proved nothing, or f+1
          members gave it up.
        """
        ctx, summing = self.ctx, self.summing
        assert summing is not None
        is_secret = is_private(ctx.state.genesis.scheme)
        if not is_secret and (self._is_lost() or self._is_withheld(view)):
            return None
        patience = self._patience_with_absence() if not is_secret and summing.missing() else self._patience()
        if view < patience:
            return f"only view {view} of {patience}"
        if not is_secret:
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

    def _needs_liars(self) -> bool:
        """Whether all honest members together are too few to open and prove a secret sum."""
        committee = self.ctx.state.committee
        return committee.sum_quorum > committee.n - committee.f

    def _are_all_there(self) -> bool:
        """Whether all contributors of the open sum are present."""
        ctx, summing = self.ctx, self.summing
        assert summing is not None
        members = (summing.committee.members[index] for index, _ in summing.body.dealers)
        return all(one in ctx.alive or one == ctx.me for one in members)

    def _is_given_up_elsewhere(self, view: int) -> bool:
        """Whether f+1 others voted in earlier views for giving the sum up.

        One of them is honest and saw a reason to. Liars may have links with some members only, so this member may never
        see the same.
        """
        voted: set[bytes] = set()
        for one, digest in self._proposed.items():
            known = self._candidates.get(digest)
            if one < view and known is not None and isinstance(known.block.body, Void):
                voted |= self._votes_for(one, digest).keys() if known.block.body.reason == "sum" else set()
        return len(voted - {self.ctx.me}) > self.ctx.state.committee.f

    def _is_lost(self) -> bool:
        """Whether a contributor is proved to lie: a plain sum needs all vectors, so it can never be completed."""
        sharing, summing = self.ctx.sharing, self.summing
        return (
            sharing is not None and summing is not None and any(i in sharing.excluded for i, _ in summing.body.dealers)
        )

    def _has_open_sum(self, view: int) -> bool:
        """Whether this member has the sum open and insists on it in this view.

        It does not insist for ever: holders may give their sum shares, so that the sum opens, and withhold the
        fingerprints that would prove it. A secret sum is insisted on for twice as many views as a plain one, unless a
        quorum voted for it and its proof lacks the fingerprints of others.
        """
        assert self.summing is not None
        opened = self.summing.outcome()
        if opened is None:
            return False
        is_withheld = self._is_withheld(view) and opened[0] in self._withheld(view)
        return view < (1 + is_private(self.ctx.state.genesis.scheme) - is_withheld) * self._patience()

    def _is_withheld(self, view: int) -> bool:
        """Whether a quorum voted for a sum in an earlier view without a proof, since the z's of others are missing."""
        return bool(self._withheld(view))

    def _withheld(self, view: int) -> list[Body]:
        """Return the bodies that a quorum voted for in earlier views without a proof of their sum.

        They may follow from a false sum, which nobody could prove.
        """
        quorum = self.ctx.state.committee.quorum
        return [
            self._candidates[digest].block.body
            for one, digest in self._proposed.items()
            if one < view
            and digest in self._candidates
            and self.consensus.prevotes_for(one, digest) >= quorum
            and not self._proves(digest, {})
        ]

    def _patience(self) -> int:
        """Number of views after which a fallback is acceptable: two turns for each of f+1 aggregators.

        Fallbacks are to give up a sum that does not open, and to take contributors that are not all that could be.
        """
        return 2 * (self.ctx.state.committee.f + 1)

    def _patience_with_absence(self) -> int:
        """Number of views after which a plain sum is given up to which not all vectors came: max(4, f+2).

        Of f+2 aggregators in a row two are honest. There are no fewer than four views, since later views are longer and
        leave time for slow work.
        """
        return max(4, self.ctx.state.committee.f + 2)

    def _has_no_sum(self, view: int) -> bool:
        """Whether this member, as aggregator, may give up without waiting for the sum to open here.

        Vectors of a plain sum may be withheld from other aggregators, or a false sum be proposed that nobody can prove,
        and it may open here all the same. So the vectors first have the time to come.
        """
        summing = self.summing
        assert summing is not None
        if is_private(self.ctx.state.genesis.scheme) or self._is_lost() or view >= self._patience():
            return True
        return summing.outcome() is not None or bool(self._waited == view and summing.missing())

    def _propose_again(self, action: ProposeNow) -> None:
        """Line 16: propose the valid value, with the prevotes that made it so."""
        assert action.value is not None
        known = self._candidates[action.value]
        polka = self._polka_and_proof(action.valid_view, action.value)
        vector, digest = self._vector_of(known), claimed_sum(known.block.body)
        self._publish(Proposal(known.data, action.valid_view, (), polka, digest), vector, action.view)

    def _vector_of(self, known: _Candidate) -> bytes | None:
        claimed = claimed_sum(known.block.body)
        checked = self.summing.checked.get(claimed) if self.summing and claimed is not None else None
        return checked.vector if checked is not None else known.vector

    def _publish(self, message: Proposal, vector: bytes | None, view: int) -> None:
        self._turn = None
        if not self.ctx.guard.permits(self.ctx.height, view, 0, block_hash(message.block)):
            return  # a member that may not even prevote for it may have proposed another block before a restart
        self.ctx.out.view = view
        own = self.ctx.out.sealed(message)
        self._proposal = (own.raw, vector)
        # This member's own prevote is made durable in this very step, before the proposal is sent. So a restarted
        # proposer finds it and does not propose a second block for the view.
        self.on_proposal(own, vector)
        self.ctx.out.send(None, own.raw, vector)

    # The others' proposals.

    def on_proposal(self, proposal: Verified, blob: bytes | None) -> None:
        """Check a proposal of this height, and hand it to the algorithm; one about a sum waits for its W first."""
        ctx, message = self.ctx, proposal.message
        assert isinstance(message, Proposal)
        if self._done or proposal.sender != ctx.state.proposer(proposal.view):
            return
        digest = block_hash(message.block)
        if not self._is_first(proposal, digest):
            return
        try:
            apply(ctx.state, message.block)
            block = read_block(message.block)
        except LedgerError as error:
            ctx.out.fault(proposal.sender, f"proposed an invalid block: {error}")
            self._enter(proposal, digest, False)
            return
        self._candidates.setdefault(digest, _Candidate(message.block, block))
        if claimed_sum(block.body) is not None:
            self._on_claim(proposal, digest, blob)
            return
        wrong = self._wrong(block, message, proposal.view)
        if wrong and proposal.sender != ctx.me:
            ctx.out.notify(
                NoticeKind.PROPOSAL,
                f"no vote for the proposal of view {proposal.view}: {wrong}",
                member=proposal.sender,
            )
        self._enter(proposal, digest, wrong is None)

    def _is_first(self, proposal: Verified, digest: bytes) -> bool:
        """Whether this is the first proposal of a view, or repeats it, and the view is one that is kept.

        So a proposer can make a member hold one block for each view, however many it signs.
        """
        view = self.consensus.view
        if not view - VIEW_HISTORY < proposal.view <= view + VIEW_WINDOW:
            return False
        first = self._proposed.setdefault(proposal.view, digest)
        if first != digest:
            self.ctx.out.fault(proposal.sender, f"proposed two blocks in view {proposal.view}")
        return first == digest

    def _forget_old_proposals(self, view: int) -> None:
        """Drop the proposals of views that are no longer kept, except the lock and the valid value."""
        for old in [one for one in self._proposed if one <= view - VIEW_HISTORY]:
            del self._proposed[old]
            self._waiting.pop(old, None)
        held = {value[0] for value in (self.consensus.locked, self.consensus.valid) if value is not None}
        for digest in self._candidates.keys() - held - set(self._proposed.values()):
            del self._candidates[digest]
            self._proofs.pop(digest, None)
            self._brought.pop(digest, None)

    def _wrong(self, block: Block, message: Proposal, view: int) -> str | None:
        """Say what speaks against a new proposal, as things stand here and now.

        A block that is proposed again with its polka is not judged a second time. Algorithm 1 needs a validity that
        does not change, and these checks change with time: a late ack makes shares suffice that did not before. The
        polka shows that f+1 honest members found the block valid once, which is enough. Without this rule a member that
        is locked on such a block and one that rejects it would wait for each other for ever.
        """
        ctx = self.ctx
        if message.valid_view >= 0:
            return None
        match block.body:
            case Contributors() as body:
                if ctx.sharing is None:
                    return "the round is not open here"
                wrong = wrong_contributors(ctx.state, ctx.sharing, body, message.acks)
                there = ctx.alive, ctx.alive_changes
                if wrong is None and ctx.state.required is not None:
                    wrong = wrong_dealings(ctx.state, ctx.sharing, body, *there)
                elif wrong is None:
                    strict = not ctx.sharing.deadline_passed or view < self._patience()
                    wrong = wrong_choice(ctx.state, ctx.sharing, body, *there, strict)
                if wrong is not None:
                    self._show_acks(view, message.acks)
                return wrong
            case Membership() as body:
                return wrong_membership(ctx.state, body, ctx.pool, ctx.now_ms, self._heard())
            case Void(reason="sum"):
                return self._why_not_give_up(view) if self.summing is not None else "no sum is open here"
            case Void():
                return self._why_not_void()
            case _:
                return None

    def _why_not_void(self) -> str | None:
        """Say why the share phase must not end without a sum yet; None if it may."""
        ctx, sharing, required = self.ctx, self.ctx.sharing, self.ctx.state.required
        if sharing is None or not sharing.deadline_passed:
            return "the share deadline has not passed"
        if self._has_to_repeat():
            return "a failed sum is to be repeated, however long it takes"
        return "the shares suffice" if sharing.choice(required, ctx.alive, ctx.alive_changes) is not None else None

    def _heard(self) -> frozenset[bytes]:
        """Return the members that are present, or dealt or acked in this round: none of them is silent."""
        ctx, sharing = self.ctx, self.ctx.sharing
        if sharing is None:
            return frozenset(ctx.alive)
        places = sharing.deals.keys() | sharing.acks.latest.keys()
        return frozenset(ctx.alive) | {sharing.committee.members[one] for one in places}

    def _show_acks(self, view: int, proposed: tuple[bytes, ...]) -> None:
        """Show the next proposer the acks that a refused proposal did not carry: both proposers may lack them."""
        assert self.ctx.sharing is not None
        acks = self.ctx.sharing.acks
        for ack in [one for holder in acks.latest for one in acks.proofs(holder)]:
            if ack.raw not in proposed and ack.sender != self.ctx.me:
                self.ctx.out.send(self.ctx.state.proposer(view + 1), ack.raw)

    def _on_claim(self, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        """Take a proposal about a sum: it is valid if all of it follows from W, so have W checked in its view."""
        message, known = proposal.message, self._candidates[digest]
        assert isinstance(message, Proposal)
        if self.summing is None or message.vector != claimed_sum(known.block.body):
            self._enter(proposal, digest, False)
            return
        self._waiting[proposal.view] = (proposal, digest)
        if proposal.view > self.consensus.view:
            # Not checked before its view: a proposer has many views ahead, and may propose in all of them at once.
            known.vector = known.vector or blob
        else:
            self._examine(proposal, digest, blob)

    def _examine(self, proposal: Verified, digest: bytes, blob: bytes | None) -> None:
        """Have the W of a proposal checked, whose view has come; fetch it first if it is not here."""
        summing, known = self.summing, self._candidates[digest]
        vector_hash, vector = claimed_sum(known.block.body), known.vector or blob
        assert summing is not None
        assert vector_hash is not None
        if proposal.view == self.consensus.view:
            summing.on_table = vector_hash
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
        assert self.summing is not None
        checked = self.summing.verdict(vector_hash)
        if checked is None:  # it is going to be checked again, with this member's own sum
            return
        expected = self.summing.outcome_of(checked)
        for proposal, digest in self._take_waiting(vector_hash):
            self._enter(proposal, digest, self._candidates[digest].block.body == expected)

    def on_bad_vector(self, vector_hash: bytes) -> None:
        """Refuse the proposals that wait for this W: it is not of the round's form, or cannot be checked here."""
        for proposal, digest in self._take_waiting(vector_hash):
            self._enter(proposal, digest, False)

    def _take_waiting(self, vector_hash: bytes) -> list[tuple[Verified, bytes]]:
        def waits(view: int, digest: bytes) -> bool:
            return view <= self.consensus.view and claimed_sum(self._candidates[digest].block.body) == vector_hash

        return [self._waiting.pop(view) for view, (_, digest) in sorted(self._waiting.items()) if waits(view, digest)]

    def _enter(self, proposal: Verified, digest: bytes, is_valid: bool) -> None:
        """Hand a judged proposal to the algorithm, with the prevotes that came with it."""
        message = proposal.message
        assert isinstance(message, Proposal)
        polka = self._prevotes_among(message.polka)
        if polka and is_valid:
            # A proof that is found once is kept. So look for one with the prevotes from the disk first, if any, before
            # those of this proposal take their place.
            self._proves(digest, {})
            self._brought[digest] = polka
            self._proves(digest, {})
        for vote in polka:
            self.on_vote(vote)
        if not self._done:
            self._act(self.consensus.on_proposal(proposal.view, digest, message.valid_view, is_valid, polka))
            self._finish_by_certificate()

    def _prevotes_among(self, envelopes: tuple[bytes, ...]) -> list[Verified]:
        """Return the prevotes of this height among envelopes that came with a proposal or from the disk.

        A polka and a proof have two votes of each member at most. Further envelopes are ignored, since each costs a
        signature check.
        """
        enough = 2 * self.ctx.state.committee.n
        votes = [verify(raw, self.ctx.state.federation) for raw in envelopes[:enough]]
        return [
            vote
            for vote in votes
            if isinstance(vote, Verified) and isinstance(vote.message, Prevote) and vote.height == self.ctx.height
        ]

    # Votes.

    def on_vote(self, vote: Verified) -> None:
        """Take a prevote or precommit of this height; accuse its sender if it voted otherwise before."""
        if self._done:
            return
        earlier = self.consensus.conflicting(vote)
        if earlier is not None and vote.sender != self.ctx.me:
            self.ctx.accuse(earlier, vote)
        self._act(self.consensus.on_vote(vote))
        if isinstance(vote.message, Precommit):
            self._finish_by_certificate()
        elif isinstance(vote.message, Prevote) and vote.message.block is not None:
            self.name_liars(vote, vote.message.block)

    def _finish_by_certificate(self) -> None:
        """Decide a known block that q precommits are for, even if it could not be checked here (W may be missing)."""
        certified = None if self._done else self.consensus.certificate()
        if certified is not None and certified[0] in self._candidates:
            self._act(self.consensus.on_certificate(*certified))

    def certified_elsewhere(self) -> tuple[bytes, ...]:
        """Return the members that precommitted in a view where q precommits decide a block that is unknown here."""
        certified = None if self._done else self.consensus.certificate()
        if certified is None or certified[0] in self._candidates:
            return ()
        return tuple(self.consensus.precommits(certified[1]))

    def name_liars(self, vote: Verified, digest: bytes) -> None:
        """Take the z of a prevote for a block about a sum; name the members whose z is off the others' polynomial."""
        if self.consensus.committee.index(vote.sender) is None:
            return
        self._false_sums.hear(vote)
        known, summing = self._candidates.get(digest), self.summing
        if known is None or summing is None or claimed_sum(known.block.body) is None:
            return
        for lie in self._false_sums.found(summing, digest):
            self._pass_on(lie)
            if lie.sender not in self._named:
                self._named.add(lie.sender)
                text = f"round {summing.round}: a wrong sum share, as its prevote proves"
                self.ctx.out.fault(lie.sender, text, round=summing.round, wrong_sum=True)
        self._proofs.setdefault(digest, []).extend(self._false_sums.proofs(summing, digest))
        self._evict_liars()

    def _pass_on(self, vote: Verified) -> None:
        """Show a false vote to all: its author may have shown it to this member alone, which cannot evict alone."""
        self.ctx.out.send(None, Accusation(vote.raw, None))

    def _evict_liars(self) -> None:
        """Propose to evict members that lied about a decided sum, which is one that the ledger judges by."""
        for settled in self.ctx.state.judged_by:
            for eviction in self._proofs.get(settled.block, ()):
                self.ctx.pool.add_eviction(eviction)

    def _votes_for(self, view: int, digest: bytes) -> dict[bytes, Verified]:
        return {
            sender: vote
            for sender, vote in self.consensus.prevotes(view).items()
            if isinstance(vote.message, Prevote) and vote.message.block == digest
        }

    def _proves(self, digest: bytes, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes for a block prove its sum, or others that are known do; True if it is about no sum.

        Each set is tried by itself, because a liar's false z in one of them must not hide the proof in another.
        """
        known = self._candidates.get(digest)
        if known is None:
            return False
        vector, summing = claimed_sum(known.block.body), self.summing
        if vector is None:
            return True
        if summing is None:
            return False
        return (
            any(summing.proves(vector, one) for one in (votes, *self._views_of(digest)))
            or summing.proves(vector, self._proof_of(digest))
            or summing.proves(vector, self._in_all_views(digest))
        )

    def _brought_for(self, digest: bytes) -> list[Verified]:
        votes = self._brought.get(digest, ())
        return [vote for vote in votes if isinstance(vote.message, Prevote) and vote.message.block == digest]

    def _views_of(self, digest: bytes) -> list[dict[bytes, Verified]]:
        """Return the prevotes in ``_brought`` for a block, for each view those of each sender."""
        views: dict[int, dict[bytes, Verified]] = {}
        for vote in self._brought_for(digest):
            views.setdefault(vote.view, {})[vote.sender] = vote
        return list(views.values())

    def _proof_of(self, digest: bytes) -> dict[bytes, Verified]:
        """Return the prevotes in ``_brought`` for a block, the last one of each sender.

        In a proposal the proof stands after the polka. So these are the votes that proved W to the members that are
        locked on it, though they may be of several views. What a liar says here in a later view must not take the place
        of its vote in the proof.
        """
        return {vote.sender: vote for vote in self._brought_for(digest)}

    def _in_all_views(self, digest: bytes) -> dict[bytes, Verified]:
        """Return the prevotes of all views for a block, the last one of each sender.

        A z depends on W alone, not on its view. Where the z of every member is needed, another one may be late in each
        view on a slow network.
        """
        heard = [self._votes_for(view, digest) for view, one in sorted(self._proposed.items()) if one == digest]
        return {sender: vote for votes in (*self._views_of(digest), *heard) for sender, vote in votes.items()}

    def _polka_and_proof(self, view: int, digest: bytes) -> tuple[bytes, ...]:
        """Return the prevotes of a view for a block and, if it is about a sum, those of any view that proved W.

        Without the latter, a liar that shows its z once and to some members only could let these lock a block while the
        others never see the proof of it.
        """
        polka = [vote.raw for vote in self._votes_for(view, digest).values()]
        vector = claimed_sum(self._candidates[digest].block.body)
        if self.summing is not None and vector is not None:
            polka += self.summing.proof(vector) or [vote.raw for vote in self._brought.get(digest, ())]
        return tuple(dict.fromkeys(polka))

    def close(self) -> None:
        """Drop the vectors once the height is decided; keep what judges late prevotes."""
        self._evict_liars()
        self._proposal = None
        self._waiting.clear()
        for known in self._candidates.values():
            known.vector = None
        if self.summing is not None:
            self.summing.close()

    def on_late(self, message: Verified) -> bool:
        """Take a message for this height after the decision: it no longer counts, but a vote may prove a lie.

        Returns True if it is merely late: the first of its kind, of a view in which its sender cannot have missed the
        decision. The last n-q votes of a height always are. A member that is stuck repeats itself, or is in a later
        view: then the answer is False, and it needs the block.
        """
        if message.height != self.height or message.view > self.consensus.view:
            return False
        if isinstance(message.message, Proposal):
            return True
        earlier = self.consensus.conflicting(message)
        if earlier is not None:
            self.ctx.accuse(earlier, message)
        is_first = not self.consensus.has(message)
        if is_first:
            self.consensus.on_vote(message)
        if isinstance(message.message, Prevote) and message.message.block is not None:
            self.name_liars(message, message.message.block)
        return is_first

    def on_peer_down(self, member: bytes) -> None:
        """Shorten the wait for a proposal if the link to its proposer is lost."""
        consensus = self.consensus
        if self._done or consensus.stage is not Stage.PROPOSE or not consensus.ready:
            return
        if self.ctx.state.proposer(consensus.view) == member:
            timeout = StageTimeout(self.ctx.height, consensus.view, Stage.PROPOSE)
            self.ctx.out.timer(DEAD_PROPOSER_TIMEOUT_MS, timeout)

    def on_timeout(self, stage: Stage, view: int) -> None:
        """Hand a timeout of this height to the algorithm."""
        if not self._done:
            self._act(self.consensus.on_timeout(stage, view))

    # Carrying out.

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if self._done:
                return
            match action:
                case NewView(view=view):
                    self._on_new_view(view)
                case ProposeNow(value=None, view=view):
                    self._propose_new(view)
                case ProposeNow():
                    self._propose_again(action)
                case CastVote():
                    self._cast(action)
                case StartTimeout(stage=stage, view=view, at_once=True):
                    self.ctx.out.timer(0, StageTimeout(self.ctx.height, view, stage))
                case StartTimeout(stage=stage, view=view):
                    self.ctx.out.timer(self._timeout_ms(stage, view), StageTimeout(self.ctx.height, view, stage))
                case Remember():
                    self._remember(action)
                case Decide(value=value, view=view):
                    self._decided(value, view)

    def _on_new_view(self, view: int) -> None:
        ctx = self.ctx
        self._turn = None
        self._forget_old_proposals(view)
        ctx.out.view = view
        if self.summing is not None:
            if not self._are_all_there():
                self._lacking = view
            aggregator = ctx.state.proposer(view)
            self.summing.send_sum(aggregator)
            if aggregator == ctx.me:
                self.summing.try_open(frozenset(ctx.alive), ctx.height, view)
                if not is_private(ctx.state.genesis.scheme):
                    ctx.out.timer(self._grace_ms(view), SumGrace(ctx.height, view))
        if view > 0:
            ctx.out.notify(NoticeKind.VIEW, f"height {ctx.height}: view {view}", height=ctx.height, view=view)
        if view in self._waiting:
            self._examine(*self._waiting[view], None)

    def _cast(self, action: CastVote) -> None:
        ctx = self.ctx
        kind = 0 if action.stage is Stage.PREVOTE else 1
        height = ctx.height
        if not self.consensus.takes_part or not ctx.guard.permits(height, action.view, kind, action.value):
            return
        ctx.out.view = action.view
        message = Precommit(action.value) if kind else Prevote(action.value, self._z(action.value))
        own = ctx.out.sealed(message)
        ctx.guard.record(height, action.view, kind, action.value)
        ctx.out.persist(VoteCast(height, action.view, kind, own.raw))
        ctx.out.send(None, own.raw)
        ctx.out.view = self.consensus.view
        self.on_vote(own)

    def _z(self, digest: bytes | None) -> tuple[int, int] | None:
        """Return this member's fingerprint for a block about a sum; None for others, and if it has no sum share."""
        known = self._candidates.get(digest) if digest else None
        vector = claimed_sum(known.block.body) if known is not None else None
        if vector is None or self.summing is None:
            return None
        checked = self.summing.checked.get(vector)
        return checked.own if checked else None

    def _remember(self, action: Remember) -> None:
        known = self._candidates[action.value]
        polka = self._polka_and_proof(action.view, action.value)
        # In lines 37 to 43 the lock and the valid value are the same: W goes to the disk once, with the valid value.
        vector = None if action.locked else self._vector_of(known)
        self.ctx.out.persist(
            ValueSeen(
                self.ctx.height,
                action.view,
                action.locked,
                known.data,
                vector,
                () if action.locked else polka,
            )
        )

    def _grace_ms(self, view: int) -> int:
        """Return how long plain vectors have to come: half of the propose timeout, which grows with the view."""
        return max(SUM_GRACE_MS, self._timeout_ms(Stage.PROPOSE, view) // 2)

    def _timeout_ms(self, stage: Stage, view: int) -> int:
        """Return the timeout of a stage: it grows with the view, and allows for sum shares and W to travel."""
        ctx, genesis = self.ctx, self.ctx.state.genesis
        wait = genesis.view_timeout_ms + view * genesis.view_delta_ms
        if stage is Stage.PROPOSE:
            proposer = ctx.state.proposer(view)
            if proposer != ctx.me and proposer not in ctx.alive:
                return DEAD_PROPOSER_TIMEOUT_MS
            if self.summing is not None:
                sums = self.summing.scheme.sum_bytes(self.summing.terms.layout) * ctx.state.committee.n
                wait += 2 * sums // BYTES_PER_MS
        return min(wait, VIEW_TIMEOUT_CAP_MS + genesis.view_timeout_ms)

    def _decided(self, value: bytes, view: int) -> None:
        votes = self.consensus.precommits(view)
        signed = [
            vote.raw
            for _, vote in sorted(votes.items())
            if isinstance(vote.message, Precommit) and vote.message.block == value
        ]
        self._done = True
        self.decide(self._candidates[value].data, tuple(signed[: self.ctx.state.committee.quorum]))

    # Saying it again.

    def resend(self, to: bytes | None) -> None:
        """Repeat what this member said at this height, to all or to a member that (re)connected.

        So a lost message only delays.
        """
        if self._done:
            return
        out, view = self.ctx.out, self.consensus.view
        is_proposer = self._proposal is not None and self.ctx.state.proposer(view) == self.ctx.me
        if self._proposal is not None and is_proposer and not self._is_taken_back(view):
            out.send(to, self._proposal[0], self._proposal[1])
        # Also the votes of the view before: if this member is one view ahead, the others' quorum there may lack them.
        for one in (view - 1, view):
            for votes in (self.consensus.prevotes(one), self.consensus.precommits(one)):
                own = votes.get(self.ctx.me)
                if own is not None:
                    out.send(to, own.raw)
        aggregator = self.ctx.state.proposer(view)
        if self.summing is not None and to in (None, aggregator):
            self.summing.send_sum(aggregator)
            if aggregator == self.ctx.me:
                self.summing.try_open(frozenset(self.ctx.alive), self.ctx.height, view)

    def _is_taken_back(self, view: int) -> bool:
        """Whether this member's proposal of this view admits a newcomer that has taken its request back since.

        Then it is not repeated: a member that comes back now would give it the vote that it lacked. A block that a
        quorum has prevoted for is repeated all the same, since members may be locked on it.
        """
        digest = self._proposed.get(view)
        known = self._candidates.get(digest) if digest is not None else None
        if known is None or (self.consensus.valid is not None and self.consensus.valid[0] == digest):
            return False
        return bool(newcomers(self.ctx.state, known.block.body) - self.ctx.pool.candidates)

    def latest_vote(self, member: bytes) -> Verified | None:
        """Return the latest vote of a member that was seen at this height."""
        return self.consensus.latest_vote(member)

    def on_sum_share(self, share: Verified, blob: bytes | None) -> None:
        """Take a sum share; open the sum if this member is the aggregator and there are enough."""
        summing, view = self.summing, self.consensus.view
        assert isinstance(share.message, SumShare)
        if summing is None:
            return
        summing.on_sum_share(share, blob)
        self._check_vector(share)
        self.try_open(view)

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
        if self.summing is not None and view == self.consensus.view and ctx.state.proposer(view) == ctx.me:
            self._waited = view if after_grace else self._waited
            self.summing.try_open(frozenset(ctx.alive), ctx.height, view, after_grace)
