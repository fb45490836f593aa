"""The same modulus for other holders: t of the old ones share the exponent again, to a new set of holders.

With the Lagrange coefficients λ_i of the t dealers (times Δ), Σ λ_i·s_i = Δ·S. Dealer i shares λ_i·s_i over the
integers among the new holders (`integer_sharing`), and what a new holder gets from all of them adds up to its share of
Δ'·Δ·S. That dealer i shares the right number, all check on its verification key v_i = v^(Δ·s_i): the commitment to its
constant is V = v^(Δ'·λ_i·s_i), so V^Δ is v_i^(Δ'·λ_i). A dealer or a share that does not fit is named.

One round, in which the dealers speak; the new holders only listen, and a member may be both. Nobody waits for a
listener: the key is in force once all new holders but a tolerated number have confirmed it (`epochs`). A silent dealer
is `missing`, and another holder takes its place in the next run.

Shares get longer each time, by 159 bits where 4 of 5 share to 4 of 5 and by 921 where 39 of 58 do;
`group.MAX_SHARE_BITS` is when a new key is due. Old shares go on being shares of the same key: t of them decrypt. So a
member erases its old share once the new key is in force, and resharing protects against attackers that learn shares
later, not against t old holders. A plan is refused where too many old holders have left (`epochs.why_new_key`).

Sources: Desmedt and Jajodia, "Redistributing secret shares to new access structures" (1997); over the integers Rabin
(Crypto 1998); Frankel, MacKenzie and Yung, "Adaptively-secure optimal-resilience proactive RSA" (Asiacrypt 1999).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import factorial
from typing import Final

from ...prng import derive
from ..arithmetic import Draws, digest, integer_lagrange, join, number, power
from ..errors import BadDealing, BadGroup, WrongKey
from ..group import MAX_HOLDERS, MAX_SHARE_BITS, Group, KeyShare
from ..integer_sharing import Terms, check_integer, deal_integer, evaluate_commitments
from ..rounds.lockstep import Lockstep
from ..rounds.scripts import Aborted, Fault, Fits, Inbox, Outgoing, Script, Stopped
from ..rounds.seats import SESSION_BYTES, Seat, check_members
from ..rounds.statements import Run
from .epochs import Epoch, Pending, why_new_key
from .sieving import numbers

SEED_BYTES: Final = 32
_NOBODY: Final = 255  # in the session, where a participant is no holder


@dataclass(frozen=True, slots=True)
class Participant:
    """A member's part: holder `old` of the key in force, holder `new` of the one to come, or both."""

    old: int | None
    new: int | None
    member: bytes


@dataclass(frozen=True, slots=True)
class ResharingPlan:
    """What all participants agree on beforehand. Raises ValueError, and TypeError for what is no Epoch.

    session: 32 bytes that name this run; epoch: the key in force; participants: exactly as many of them old holders as
    its threshold, and together all new holders 0, 1, ...; threshold: K, which must be that of the key in force;
    tolerated: how many new holders may be absent or lie, f'.
    """

    session: bytes
    epoch: Epoch
    participants: tuple[Participant, ...]
    threshold: int
    tolerated: int = field(kw_only=True)

    def __post_init__(self) -> None:
        if len(self.session) != SESSION_BYTES:
            raise ValueError(f"a session has {SESSION_BYTES} bytes, not {len(self.session)}")
        if type(self.epoch) is not Epoch:
            raise TypeError("only an Epoch is shared anew")
        check_members(self.members)
        old = self.dealers
        if len(old) != self.group.threshold or len(set(old)) != len(old):
            raise ValueError(f"{self.group.threshold} different old holders deal, not {old}")
        if not all(0 <= holder < self.group.holders for holder in old):
            raise ValueError(f"a dealer of {old} is no holder among {self.group.holders}")
        if any(p.old is not None and self.epoch.members[p.old] != p.member for p in self.participants):
            raise ValueError("a dealer is another member than the holder that it deals as")
        new = sorted(p.new for p in self.participants if p.new is not None)
        if new != list(range(len(new))):
            raise ValueError(f"the new holders are numbered {new}")
        if not 2 <= self.threshold <= len(new) <= MAX_HOLDERS:
            raise ValueError(f"a threshold of {self.threshold} among {len(new)} holders, of {MAX_HOLDERS} at most")
        if not 0 <= 3 * self.tolerated < len(new) or len(new) - 2 * self.tolerated < self.threshold:
            raise ValueError(
                f"{self.tolerated} of {len(new)} holders cannot be absent: {self.threshold} have to decrypt"
            )
        due = why_new_key(self.epoch, self.holder_keys, self.threshold)
        if due is not None:
            raise ValueError(f"a new key is due: {due}")
        if self.share_bits > MAX_SHARE_BITS:
            raise ValueError(f"shares would have {self.share_bits} bits, of {MAX_SHARE_BITS} at most: a new key is due")

    @property
    def group(self) -> Group:
        """The old group."""
        return self.epoch.group

    @property
    def members(self) -> tuple[bytes, ...]:
        """The Ed25519 keys of the participants."""
        return tuple(p.member for p in self.participants)

    @property
    def holder_keys(self) -> tuple[bytes, ...]:
        """The Ed25519 keys of the new holders, holder 0 first."""
        new = {p.new: p.member for p in self.participants if p.new is not None}
        return tuple(new[holder] for holder in sorted(new))

    @property
    def needed(self) -> int:
        """How many new holders have to confirm."""
        return self.holders - self.tolerated

    @property
    def before(self) -> tuple[tuple[bytes, ...], ...]:
        """The holders of each epoch of this N so far."""
        return (*self.epoch.before, self.epoch.members)

    @property
    def speakers(self) -> tuple[int, ...]:
        """The participants that deal."""
        return tuple(i for i, p in enumerate(self.participants) if p.old is not None)

    def check_group(self, group: Group) -> None:
        """Raise WrongKey for a group that no resharing by this plan makes."""
        made = (group.key, group.holders, group.threshold, group.share_bits)
        if made != (self.group.key, self.holders, self.threshold, self.share_bits):
            raise WrongKey("a key shared anew has the modulus of the key in force, and the holders that were planned")

    @property
    def dealers(self) -> tuple[int, ...]:
        """The old holders who deal."""
        return tuple(p.old for p in self.participants if p.old is not None)

    @property
    def holders(self) -> int:
        """How many the new group has."""
        return sum(p.new is not None for p in self.participants)

    @property
    def weights(self) -> dict[int, int]:
        """λ_i for each dealer i."""
        points = [holder + 1 for holder in self.dealers]
        return dict(zip(self.dealers, integer_lagrange(points, 0, self.group.holders), strict=True))

    @property
    def terms(self) -> Terms:
        """How each dealer shares."""
        longest = max(abs(weight) for weight in self.weights.values()).bit_length()
        return Terms(self.holders, self.threshold, self.group.share_bits + longest)

    @property
    def share_bits(self) -> int:
        """How long the shares of the new group are."""
        return self.terms.share_bits(len(self.dealers))

    @property
    def share_bytes(self) -> int:
        """How many bytes a share on its way takes, its sign included."""
        return self.terms.exponent_bits // 8 + 1

    def lockstep_session(self) -> bytes:
        """The session of the run: bound to the whole plan."""
        places = bytes(_NOBODY if x is None else x for p in self.participants for x in (p.old, p.new))
        numbers = join([self.threshold, self.tolerated], 2)
        old = (self.epoch.session, self.epoch.run, self.group.group_id)
        return digest(b"resharing", self.session, *old, places, numbers, *self.members)


class Reshared(Pending):
    """The new group, and this participant's share of it if it is a new holder; not in force yet."""

    __slots__ = ()


def reshare(plan: ResharingPlan, me: int, share: KeyShare | None, seed: bytes, seat: Seat) -> Lockstep[Reshared]:
    """One participant's part.

    Args:
        plan: what all participants agreed on.
        me: which participant this is.
        share: its old share, if it is a dealer; None otherwise.
        seed: 32 secret random bytes, fresh from the operating system.
        seat: from `take_seat(plan.lockstep_session(), plan.members, ...)`.

    Raises:
        WrongKey: the share is not the one that the plan says this participant has.
        RunBefore: the seat has been used.
        ValueError: the seed has another length, the plan has no such participant, or the seat is another one.
    """
    if not 0 <= me < len(plan.participants):
        raise ValueError(f"no participant {me} among {len(plan.participants)}")
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    if (seat.session, seat.members, seat.me) != (plan.lockstep_session(), plan.members, me):
        raise ValueError(f"the seat is not that of participant {me} in this plan")
    if (share.holder if share is not None else None) != plan.participants[me].old:
        raise WrongKey(f"participant {me} should have the share of holder {plan.participants[me].old}")
    if share is not None and not share.matches(plan.group):
        raise WrongKey("the key share does not match its verification key")
    return Lockstep(seat, derive(seed, b"greeting"), partial(_script, plan, me, share, seed), plan.speakers)


def _script(plan: ResharingPlan, me: int, share: KeyShare | None, seed: bytes, run: Run) -> Script[Reshared]:
    inbox = yield _deal(plan, share, Draws(seed, b"resharing|" + run.name))
    commitments = _checked_commitments(plan, inbox)
    new, group = plan.participants[me].new, _new_group(plan, list(commitments.values()))
    mine = None if new is None else KeyShare(new, _received(commitments, inbox))
    return Reshared(plan.lockstep_session(), run.name, group, mine)


def _deal(plan: ResharingPlan, share: KeyShare | None, draws: Draws) -> Outgoing:
    """What a dealer sends: commitments to all, a share of its weighted share to each new holder."""
    if share is None:
        return Outgoing(fits=_shares(plan))
    dealing = deal_integer(plan.group.key, plan.terms, plan.weights[share.holder] * share.value, draws)
    private = {
        party: int(dealing.shares[p.new]).to_bytes(plan.share_bytes, "big", signed=True)
        for party, p in enumerate(plan.participants)
        if p.new is not None
    }
    return Outgoing(join(dealing.commitments, plan.group.key.ciphertext_bytes), private, _shares(plan))


def _shares(plan: ResharingPlan) -> Fits:
    """What the private parts are: for a new holder, a share that fits the dealer's commitments."""

    def fits(dealer: int, receiver: int, public: bytes, private: bytes) -> None:
        new = plan.participants[receiver].new
        if new is None:
            return
        if len(private) != plan.share_bytes:
            raise Fault(dealer, f"a share of {len(private)} bytes")
        row = numbers(dealer, public, plan.group.key.square, plan.threshold)
        share = number(int.from_bytes(private, "big", signed=True))
        try:
            check_integer(plan.group.key, plan.terms, dealer, new, row, share)
        except BadDealing as error:
            raise Fault(dealer, error.reason) from None

    return fits


def _checked_commitments(plan: ResharingPlan, inbox: Inbox) -> dict[int, list[int]]:
    """The commitments of each dealing participant. Raises Fault for what does not fit its verification key."""
    key, delta, commitments = plan.group.key, factorial(plan.holders), {}
    for party, (p, data) in enumerate(zip(plan.participants, inbox.public, strict=True)):
        if p.old is None:
            continue
        row = numbers(party, data, key.square, plan.threshold)
        dealt = power(row[0], plan.group.delta, key.square)
        if dealt != power(plan.group.verification_keys[p.old], delta * plan.weights[p.old], key.square):
            raise Fault(party, "it shares another number than its share of the key")
        commitments[party] = row
    return commitments


def _received(commitments: dict[int, list[int]], inbox: Inbox) -> int:
    """The sum of the shares that the dealers sent to this participant."""
    return sum((int.from_bytes(inbox.private[party], "big", signed=True) for party in commitments), number(0))


def _new_group(plan: ResharingPlan, commitments: Sequence[Sequence[int]]) -> Group:
    """The public part of the new key, which all compute alike."""
    key, added = plan.group.key, [number(1)] * plan.threshold
    for row in commitments:
        added = [a * b % key.square for a, b in zip(added, row, strict=True)]
    shared = [evaluate_commitments(key, added, j + 1) for j in range(plan.holders)]
    keys = tuple(power(value, factorial(plan.holders), key.square) for value in shared)
    try:
        return Group(key, plan.threshold, keys, plan.share_bits)
    except BadGroup as error:
        raise Stopped(Aborted(str(error))) from None
