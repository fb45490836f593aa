"""Changes of the membership that wait to be proposed: joins, leaves, evictions.

Bounded, and re-checked before use.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from .admission import InviteError, claimed_inviter, read_ticket
from .blocks import Change, Depart, Evict, Join
from .envelope import Verified
from .ledger import (
    NO_MEMBERS_INVITE,
    LedgerError,
    LedgerState,
    Member,
    ProvedJoin,
    admit,
    apply_change,
    prove_join,
)
from .limits import (
    JOIN_MEMORY_MS,
    JOIN_RETRY_MS,
    MAX_CHANGES_BYTES,
    MAX_CHANGES_PER_BLOCK,
    MAX_PENDING_EVIDENCE,
    MAX_PENDING_JOINS,
    MAX_WORTHLESS_JOINS,
)
from .messages import JoinRequest, Withdrawal
from .wire import encode

CLOCK_SKEW_MS = 60_000
"""An invite is honoured this long after its expiry in a vote, because clocks differ. A withdrawal counts this long
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


@dataclass(slots=True)
class ChangePool:
    """What this member would put into a Membership block."""

    _joins: dict[bytes, ProvedJoin] = field(default_factory=dict)
    _heard_ms: dict[bytes, int] = field(default_factory=dict)
    """When each of these requests was made last, as far as this member knows."""
    _worthless: OrderedDict[bytes, str] = field(default_factory=OrderedDict)
    """Why a request can never be granted, by a hash of what was checked of it."""
    _leaves: dict[bytes, bytes] = field(default_factory=dict)
    _evictions: dict[bytes, Evict] = field(default_factory=dict)
    vouched: set[bytes] = field(default_factory=set)
    """Dealers whose bad dealing this member checked itself."""
    _passed_on_ms: dict[bytes, int] = field(default_factory=dict)
    _withdrawn: dict[bytes, _Withdrawn] = field(default_factory=dict)
    """By newcomer, as long as the same withdrawal could count once more, or copies of the request may be under way."""
    _revision: int = 0
    """Counts what has come in."""
    _known: tuple[tuple[bytes, int, bool], int, tuple[Change, ...]] | None = None
    """The last answer, what it depends on and until when it holds: asked after every event, computed once a block."""

    @property
    def candidates(self) -> frozenset[bytes]:
        """Newcomers whose request is good so far: they may read the ledger and the model."""
        return frozenset(self._joins)

    def is_to_be_passed_on(self, newcomer: bytes, now_ms: int) -> bool:
        """Whether the others are to be told of this newcomer again: its turn to propose may be somebody's who was
        admitted only since. At most once in the time after which a newcomer asks again.
        """
        if now_ms - self._passed_on_ms.get(newcomer, now_ms - JOIN_RETRY_MS) < JOIN_RETRY_MS:
            return False
        self._passed_on_ms = {one: at for one, at in self._passed_on_ms.items() if one in self._joins}
        self._passed_on_ms[newcomer] = now_ms
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """What the newcomers call themselves."""
        messages = (join.request.message for join in self._joins.values())
        return tuple(message.name for message in messages if isinstance(message, JoinRequest))

    @property
    def requests(self) -> tuple[bytes, ...]:
        """The newcomers' requests, as they signed them."""
        return tuple(join.request.raw for join in self._joins.values())

    def add_join(self, state: LedgerState, request: Verified, now_ms: int) -> str | None:
        """Take a join request; returns why not, for the newcomer to read."""
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
        """Drop the request of a newcomer that takes it back. Returns whether it did: then others are to hear of it.

        Whoever saw a withdrawal can send it again once its newcomer asks again. So it counts once, and only near its
        own time; what is remembered of it can be forgotten after that. Where no more can be remembered, none counts.
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
        """Drop the requests that have not been made again for long: who waits to be admitted asks again and again."""
        gone = [one for one in self._joins if now_ms - self._heard_ms[one] > JOIN_MEMORY_MS]
        for newcomer in gone:
            del self._joins[newcomer]
        self._revision += len(gone)

    def has_just_withdrawn(self, newcomer: bytes, now_ms: int) -> bool:
        """Whether a request of this newcomer may be a copy, under way since before it took its request back."""
        known = self._withdrawn.get(newcomer)
        return known is not None and now_ms - known.heard_ms < JOIN_RETRY_MS

    def _forget_withdrawals(self, now_ms: int) -> None:
        self._withdrawn = {
            newcomer: one
            for newcomer, one in self._withdrawn.items()
            if now_ms - one.at_ms <= CLOCK_SKEW_MS or now_ms - one.heard_ms < JOIN_RETRY_MS
        }

    def _prove(self, state: LedgerState, request: Verified) -> ProvedJoin:
        """Check the signatures in a request, unless it is worthless without a look at them, or was found to be.

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
        """Take a member's request to leave; at most one a member."""
        self._revision += self._leaves.get(request.sender) != request.raw
        self._leaves[request.sender] = request.raw

    def add_eviction(self, eviction: Evict) -> bool:
        """Take evidence against a member; the first suffices. Returns whether it is news."""
        if eviction.member in self._evictions or len(self._evictions) >= MAX_PENDING_EVIDENCE:
            return False
        self._revision += 1
        self._evictions[eviction.member] = eviction
        return True

    def accuses(self, member: bytes) -> bool:
        """Whether evidence against this member is at hand."""
        return member in self._evictions

    def changes(self, state: LedgerState, now_ms: int, only_provable: bool = False) -> tuple[Change, ...]:
        """Return the changes that can be made now, each checked on top of those before it; drop the
        impossible ones.

        ``only_provable``: without evictions for a bad dealing, which only those vote for who saw the share.
        """
        key = (state.head, self._revision, only_provable)
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
        """Go through all that is waiting, each with what makes the change and what forgets it."""
        for member, eviction in sorted(self._evictions.items()):
            yield eviction, _maker(eviction), partial(self._evictions.pop, member, None)
        for member, leave in sorted(self._leaves.items()):
            yield Depart(leave), _maker(Depart(leave)), partial(self._leaves.pop, member, None)
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
    limit = state.genesis.evict_after_rounds
    return Evict(member.key, "silent", ()) if limit and member.missed >= limit else None


def invite_expired(state: LedgerState, request: JoinRequest, now_ms: int, skew_ms: int = 0) -> bool:
    """Whether the request's invite is past its time by this member's clock."""
    if state.genesis.admit != "invite":
        return False
    try:
        return read_ticket(request.ticket).expires_ms + skew_ms < now_ms
    except InviteError:
        return True


def _expiry_ms(join: ProvedJoin) -> int:
    """Until when the invite of a request holds."""
    return _NEVER_MS if join.ticket is None else join.ticket.expires_ms
