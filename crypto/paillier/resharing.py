"""The same modulus for other holders: t of the old ones share the exponent again, to a new set with a new threshold.

With the Lagrange coefficients λ_i of the t dealers (times Δ), Σ λ_i·s_i = Δ·S. Dealer i shares λ_i·s_i over the
integers among the new holders (`sharing`), and what a new holder gets from all of them adds up to its share of Δ'·Δ·S.
That dealer i shares the right number, all check on its verification key v_i = v^(Δ·s_i): the commitment to its constant
is V = v^(Δ'·λ_i·s_i), so V^Δ is v_i^(Δ'·λ_i). A dealer or a share that does not fit is named.

Two rounds in which all dealers and all new holders take part: deal, then confirm that all computed the same group. A
member may be both. Shares get longer each time, by 159 bits where 4 of 5 share to 4 of 5 and by 921 where 39 of 58 do;
`group.MAX_SHARE_BITS` is when a new key is due. Old
shares go on being shares of the same key: whoever keeps t of them can decrypt. So a member erases its old share once
the new group is decided, and resharing protects against those who learn shares later, not against t old holders.

Sources: Desmedt and Jajodia, "Redistributing secret shares to new access structures" (1997); over the integers Rabin
(Crypto 1998); Frankel, MacKenzie and Yung, "Adaptively-secure optimal-resilience proactive RSA" (Asiacrypt 1999).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import Final

from .arithmetic import Draws, digest, integer_lagrange, join, number, power
from .errors import BadDealing, BadGroup, WrongKey
from .group import MAX_HOLDERS, MAX_SHARE_BITS, Group, KeyShare
from .rounds import SESSION_BYTES, Aborted, Fault, Inbox, Lockstep, Outgoing, Script, Stopped
from .sharing import Terms, check_integer, deal_integer, evaluate_commitments
from .sieving import numbers

SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Participant:
    """Who somebody is: holder `old` of the group that there is, holder `new` of the one to come, or both."""

    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class ResharingPlan:
    """What all participants agree on beforehand. Raises ValueError.

    session: 32 bytes that name this run; group: the old one; participants: exactly `group.threshold` of them old
    holders, and together all new holders 0, 1, ...; threshold: of the new group.
    """

    session: bytes
    group: Group
    participants: tuple[Participant, ...]
    threshold: int

    def __post_init__(self) -> None:
        if len(self.session) != SESSION_BYTES:
            raise ValueError(f"a session has {SESSION_BYTES} bytes, not {len(self.session)}")
        old = self.dealers
        if len(old) != self.group.threshold or len(set(old)) != len(old):
            raise ValueError(f"{self.group.threshold} different old holders deal, not {old}")
        if not all(0 <= holder < self.group.holders for holder in old):
            raise ValueError(f"a dealer of {old} is no holder among {self.group.holders}")
        new = sorted(p.new for p in self.participants if p.new is not None)
        if new != list(range(len(new))):
            raise ValueError(f"the new holders are numbered {new}")
        if not 2 <= self.threshold <= len(new) <= MAX_HOLDERS:
            raise ValueError(f"a threshold of {self.threshold} among {len(new)} holders, of {MAX_HOLDERS} at most")
        if self.share_bits > MAX_SHARE_BITS:
            raise ValueError(f"shares would have {self.share_bits} bits, of {MAX_SHARE_BITS} at most: a new key is due")

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
        who = bytes(255 if x is None else x for p in self.participants for x in (p.old, p.new))
        return digest(b"resharing", self.session, self.group.group_id, who, join([self.threshold], 2))


@dataclass(frozen=True, slots=True)
class Reshared:
    """The new group, and this participant's share of it if it is a new holder."""

    group: Group
    share: KeyShare | None


def reshare(plan: ResharingPlan, me: int, share: KeyShare | None, seed: bytes) -> Lockstep[Reshared]:
    """One participant's part. share: its old one, if it is a dealer; seed: 32 secret random bytes.

    Raises WrongKey where the share is not the one that the plan says this participant has, and ValueError for a seed of
    another length or a participant that the plan has not.
    """
    if not 0 <= me < len(plan.participants):
        raise ValueError(f"no participant {me} among {len(plan.participants)}")
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    if (share.holder if share is not None else None) != plan.participants[me].old:
        raise WrongKey(f"participant {me} should have the share of holder {plan.participants[me].old}")
    if share is not None and not share.matches(plan.group):
        raise WrongKey("the key share does not match its verification key")
    session = plan.lockstep_session()
    draws = Draws(seed, b"resharing|" + session)
    return Lockstep(session, len(plan.participants), me, _script(plan, me, share, draws))


def _script(plan: ResharingPlan, me: int, share: KeyShare | None, draws: Draws) -> Script[Reshared]:
    inbox = yield _deal(plan, share, draws)
    commitments = _checked_commitments(plan, inbox)
    total = _received(plan, me, commitments, inbox)
    group = _new_group(plan, list(commitments.values()))
    inbox = yield Outgoing(group.group_id)
    for party, group_id in enumerate(inbox.public):
        if group_id != group.group_id:
            raise Fault(party, "it computed other verification keys")
    new = plan.participants[me].new
    return Reshared(group, None if new is None else KeyShare(new, total))


def _deal(plan: ResharingPlan, share: KeyShare | None, draws: Draws) -> Outgoing:
    if share is None:
        return Outgoing()
    key = plan.group.key
    dealing = deal_integer(key, plan.terms, plan.weights[share.holder] * share.value, draws)
    private = {
        party: int(dealing.shares[p.new]).to_bytes(plan.share_bytes, "big", signed=True)
        for party, p in enumerate(plan.participants)
        if p.new is not None
    }
    return Outgoing(join(dealing.commitments, key.ciphertext_bytes), private)


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


def _received(plan: ResharingPlan, me: int, commitments: dict[int, list[int]], inbox: Inbox) -> int:
    """The sum of what the dealers sent to this participant. Raises Fault."""
    new, total = plan.participants[me].new, number(0)
    if new is None:
        return total
    for party, row in commitments.items():
        data = inbox.private[party]
        if len(data) != plan.share_bytes:
            raise Fault(party, f"a share of {len(data)} bytes")
        share = number(int.from_bytes(data, "big", signed=True))
        try:
            check_integer(plan.group.key, plan.terms, party, new, row, share)
        except BadDealing as error:
            raise Fault(party, error.reason) from None
        total += share
    return total


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
