"""Changes of the membership that wait to be proposed: joins, leaves, evictions, and options that were voted for.

The pool is bounded. A change is checked again before it is proposed, since the ledger may have moved on.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from .ledger.blocks import Change, Depart, Evict, Join
from .ledger.state import (
    NO_MEMBERS_INVITE,
    LedgerError,
    LedgerState,
    Member,
    ProvedJoin,
    admit,
    apply_change,
    prove_join,
)
from .ledger.tickets import InviteError, claimed_inviter, read_ticket
from .limits import (
    JOIN_MEMORY_MS,
    JOIN_RETRY_MS,
    MAX_CHANGES_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_PENDING_EVIDENCE,
    MAX_PENDING_JOINS,
    MAX_WORTHLESS_JOINS,
)
from .messages.encoding import encode
from .messages.envelope import Verified
from .messages.kinds import JoinRequest, Withdrawal
from .open_proposals import OpenProposals

CLOCK_SKEW_MS = 60_000
"""How far clocks may differ: a vote honours an invite this long after its expiry, and a withdrawal counts this long
before and after its time.
"""

_NEVER_MS = 2**63
_WORTHLESS_DOMAIN: Final = b"coterie/worthless-join\0"


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """The newest withdrawal of a newcomer that took effect."""

    at_ms: int
    """By the newcomer's clock."""
    heard_ms: int
    """By this member's clock."""


@dataclass(slots=True)
class PendingChanges:
    """The changes that this member would put into a Membership block."""

    _joins: dict[bytes, ProvedJoin] = field(default_factory=dict)
    _heard_ms: dict[bytes, int] = field(default_factory=dict)
    """By newcomer, when this member last heard its request."""
    _worthless: OrderedDict[bytes, str] = field(default_factory=OrderedDict)
    """By a hash of the checked parts of a request, why it can never be granted."""
    _leaves: dict[bytes, bytes] = field(default_factory=dict)
    _evictions: dict[bytes, Evict] = field(default_factory=dict)
    vouched: set[bytes] = field(default_factory=set)
    """Dealers whose bad dealing this member has checked itself."""
    _passed_on_ms: dict[bytes, int] = field(default_factory=dict)
    _withdrawn: dict[bytes, _Withdrawn] = field(default_factory=dict)
    """By newcomer; kept while the same withdrawal could count again, or copies of the request may be under way."""
    proposals: OpenProposals = field(default_factory=OpenProposals)
    """Proposed options of the training, and the votes on them."""
    _revision: int = 0
    """Counts the changes of what waits."""
    _known: tuple[tuple[bytes, int, int, bool], int, tuple[Change, ...]] | None = None
    """What the last answer depends on, until when it holds, and the answer; it is asked for after every event."""

    @property
    def candidates(self) -> frozenset[bytes]:
        """Newcomers whose requests wait here: they may read the ledger and the model."""
        return frozenset(self._joins)

    def is_to_be_passed_on(self, newcomer: bytes, now_ms: int) -> bool:
        """Whether to tell the other members of this newcomer again; at most once in JOIN_RETRY_MS.

        The next proposer may be a member that was admitted after the others had been told.
        """
        if now_ms - self._passed_on_ms.get(newcomer, now_ms - JOIN_RETRY_MS) < JOIN_RETRY_MS:
            return False
        self._passed_on_ms = {one: at for one, at in self._passed_on_ms.items() if one in self._joins}
        self._passed_on_ms[newcomer] = now_ms
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the newcomers, as these gave them."""
        messages = (join.request.message for join in self._joins.values())
        return tuple(message.name for message in messages if isinstance(message, JoinRequest))

    @property
    def requests(self) -> tuple[bytes, ...]:
        """Requests of the newcomers, as these signed them."""
        return tuple(join.request.raw for join in self._joins.values())

    def add_join(self, state: LedgerState, request: Verified, now_ms: int) -> str | None:
        """Take a join request. Returns None if it was taken, otherwise why not, in words for the newcomer."""
        message = request.message
        assert isinstance(message, JoinRequest)
        if message.model != state.genesis.model:
            return f"the models differ: this federation trains {state.genesis.model}, yours is {message.model}"
        known = self._joins.get(request.sender)
        try:
            join = known if known is not None and known.request.raw == request.raw else self._prove(state, request)
            admit(state, join)
        except LedgerError as error:
            return str(error)
        if _expiry_ms(join) < now_ms:
            return "the invite has expired: ask a member for a new one (`peer invite`)"
        if known is None and len(self._joins) >= MAX_PENDING_JOINS:
            return "too many are waiting to be admitted: try again later"
        self._revision += join is not known
        self._joins[request.sender] = join
        self._heard_ms = {one: at for one, at in self._heard_ms.items() if one in self._joins}
        self._heard_ms[request.sender] = now_ms
        return None

    def withdraw(self, withdrawal: Verified, now_ms: int) -> bool:
        """Drop the request of a newcomer that takes it back. Returns whether it was dropped; then pass the message on.

        A peer that saw a withdrawal could send it again after its newcomer has asked again. So a withdrawal counts
        once, and only near its own time, so that it need not be remembered for longer. If there is no room to remember
        it, it does not count.
        """
        message, newcomer = withdrawal.message, withdrawal.sender
        assert isinstance(message, Withdrawal)
        self._forget_withdrawals(now_ms)
        known = self._withdrawn.get(newcomer)
        if newcomer not in self._joins or abs(message.at_ms - now_ms) > CLOCK_SKEW_MS:
            return False
        if known is None and len(self._withdrawn) >= MAX_PENDING_JOINS:
            return False
        if known is not None and message.at_ms <= known.at_ms:
            return False
        del self._joins[newcomer]
        self._withdrawn[newcomer] = _Withdrawn(message.at_ms, now_ms)
        self._revision += 1
        return True

    def forget_unheard(self, now_ms: int) -> None:
        """Drop requests that were not repeated for JOIN_MEMORY_MS: a newcomer that still waits repeats its request."""
        gone = [one for one in self._joins if now_ms - self._heard_ms[one] > JOIN_MEMORY_MS]
        for newcomer in gone:
            del self._joins[newcomer]
        self._revision += len(gone)

    def has_just_withdrawn(self, newcomer: bytes, now_ms: int) -> bool:
        """Whether a request of this newcomer may be an old copy, sent before the newcomer took its request back."""
        known = self._withdrawn.get(newcomer)
        return known is not None and now_ms - known.heard_ms < JOIN_RETRY_MS

    def _forget_withdrawals(self, now_ms: int) -> None:
        self._withdrawn = {
            newcomer: one
            for newcomer, one in self._withdrawn.items()
            if now_ms - one.at_ms <= CLOCK_SKEW_MS or now_ms - one.heard_ms < JOIN_RETRY_MS
        }

    def _prove(self, state: LedgerState, request: Verified) -> ProvedJoin:
        """Check a request and, unless it is worthless at first sight or known to be, its signatures.

        Raises:
            LedgerError: it cannot be granted.
        """
        message = request.message
        assert isinstance(message, JoinRequest)
        if state.genesis.admit == "invite":
            try:
                federation, inviter = claimed_inviter(message.ticket)
            except InviteError as error:
                raise LedgerError(str(error)) from None
            if federation != state.federation:
                raise LedgerError("the invite is for another federation")
            if state.member(inviter) is None:
                raise LedgerError(NO_MEMBERS_INVITE)
        parts = (request.sender, message.name, message.ticket, message.ticket_signature)
        digest = sha256(_WORTHLESS_DOMAIN + encode(parts)).digest()
        if digest in self._worthless:
            raise LedgerError(self._worthless[digest])
        try:
            return prove_join(state.genesis, request)
        except LedgerError as error:
            if len(self._worthless) >= MAX_WORTHLESS_JOINS:
                self._worthless.popitem(last=False)
            self._worthless[digest] = str(error)
            raise

    def add_leave(self, request: Verified) -> None:
        """Take a member's request to leave; the latest one of each member is kept."""
        self._revision += self._leaves.get(request.sender) != request.raw
        self._leaves[request.sender] = request.raw

    def add_eviction(self, eviction: Evict) -> bool:
        """Take evidence against a member, of which one is enough. Returns whether it was taken."""
        if eviction.member in self._evictions or len(self._evictions) >= MAX_PENDING_EVIDENCE:
            return False
        self._revision += 1
        self._evictions[eviction.member] = eviction
        return True

    def vouch(self, eviction: Evict) -> None:
        """Take evidence of a bad dealing that this member has checked itself."""
        self.vouched.add(eviction.member)
        self.add_eviction(eviction)

    def accuses(self, member: bytes) -> bool:
        """Whether there is evidence against this member here."""
        return member in self._evictions

    def changes(self, state: LedgerState, now_ms: int, only_provable: bool = False) -> tuple[Change, ...]:
        """Return the changes that can be made now, each on top of those before it; drop impossible ones.

        ``only_provable``: leave out evictions for a bad dealing, for which only members vote that opened the box.
        """
        key = (state.head, self._revision, self.proposals.revision, only_provable)
        if self._known is None or self._known[0] != key or self._known[1] < now_ms:
            found = self._changes(state, now_ms, only_provable)
            expiries = [_expiry_ms(join) for join in self._joins.values()]
            self._known = (key, min(expiries, default=_NEVER_MS), found)
        return self._known[2]

    def _changes(self, state: LedgerState, now_ms: int, only_provable: bool) -> tuple[Change, ...]:
        possible: list[Change] = []
        size = 0
        for change, make, forget in self._waiting(state, now_ms):
            if only_provable and isinstance(change, Evict) and change.reason == "bad-dealing":
                continue
            if len(possible) == MAX_CHANGES_PER_BLOCK:
                break
            try:
                after = make(state)
            except LedgerError:
                forget()
                continue
            size += len(encode(change))
            if size > MAX_CHANGES_BYTES:
                break
            state = after
            possible.append(change)
        return tuple(possible)

    def _waiting(self, state: LedgerState, now_ms: int) -> Iterator["_Waiting"]:
        """Yield each waiting change, with a function that makes it and one that drops it from the pool."""
        for member, eviction in sorted(self._evictions.items()):
            yield eviction, _maker(eviction), partial(self._evictions.pop, member, None)
        for member, leave in sorted(self._leaves.items()):
            yield Depart(leave), _maker(Depart(leave)), partial(self._leaves.pop, member, None)
        for amend, proposer in self.proposals.decidable(state):
            yield amend, _maker(amend), partial(self.proposals.forget, proposer)
        for newcomer, join in sorted(self._joins.items(), key=lambda item: item[0]):
            if _expiry_ms(join) < now_ms:
                self._joins.pop(newcomer, None)
            else:
                # Its signatures were checked when it came, and there may be many.
                yield Join(join.request.raw), partial(_admitted, join), partial(self._joins.pop, newcomer, None)
        for one in state.members:
            silent = _silence(state, one)
            if silent is not None:
                yield silent, _maker(silent), lambda: None


_Waiting = tuple[Change, Callable[[LedgerState], LedgerState], Callable[[], object]]


def _maker(change: Change) -> Callable[[LedgerState], LedgerState]:
    return lambda state: apply_change(state, change)


def _admitted(join: ProvedJoin, state: LedgerState) -> LedgerState:
    return admit(state, join)


def _silence(state: LedgerState, member: Member) -> Evict | None:
    """Return the eviction of a member that was silent for too long; None if it was not."""
    limit = state.options.evict_after_rounds
    return Evict(member.key, "silent", ()) if limit and member.missed >= limit else None


def invite_expired(state: LedgerState, request: JoinRequest, now_ms: int, skew_ms: int = 0) -> bool:
    """Whether the invite of a request has expired by this member's clock, more than ``skew_ms`` ago."""
    if state.genesis.admit != "invite":
        return False
    try:
        return read_ticket(request.ticket).expires_ms + skew_ms < now_ms
    except InviteError:
        return True


def _expiry_ms(join: ProvedJoin) -> int:
    """Return when the invite of a request expires."""
    return _NEVER_MS if join.ticket is None else join.ticket.expires_ms
