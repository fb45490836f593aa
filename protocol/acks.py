"""Who holds whose shares, by the acks: which dealings are settled, and so who contributes and who opens the sum.

A missing ack has two ends: a holder that does not give it, or a dealer that has not given the holder its share. It is
settled, not guessed. The dealer hands the *sealed* box for that holder to other members, which keep it, say so in their
acks and serve it. With f+1 of them somebody honest does, so the holder could have had its share: it acks, complains
with proof, or is no holder of this round. A dealer that does not hand the box over does not contribute. So f liars
cannot keep out an honest dealer that is there in time, whether they refuse its shares or keep back their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .committee import Committee
from .envelope import Verified
from .limits import MAX_KEEPER_ACKS
from .messages import Ack
from .schemes import Choice

_NOTHING: Mapping[int, bytes] = {}


@dataclass(slots=True)
class Acks:
    """The acks of one round."""

    committee: Committee
    changes: int = 0
    """Counts what has come in, so that what follows from it is computed once."""
    latest: dict[int, Verified] = field(default_factory=dict)
    """The ack of each holder that names most; one of an honest holder names all that it ever acked."""
    _named: dict[int, Mapping[int, bytes]] = field(default_factory=dict)
    """By holder, the dealings that it acked, in whatever ack: one of each dealer. Most holders ack the same, which is
    then one object.
    """
    _last: Mapping[int, bytes] = field(default_factory=dict)
    _behind: dict[int, dict[int, Verified]] = field(default_factory=dict)
    """By holder and dealer, the first ack that names the dealing, for holders of which no single ack names all."""
    _support: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """By dealer, how many holders acked each of its dealings; an honest dealer has one."""
    _keepers: dict[tuple[int, bytes, int], set[int]] = field(default_factory=dict)
    """Members that keep the box of a dealing (dealer, id) for a holder. Said in one ack, it counts for good."""
    _kept_behind: dict[int, list[Verified]] = field(default_factory=dict)
    """By keeper, the acks that show all that it ever said it keeps. Of an honest one each names what those before name,
    unless it was restarted: then it has forgotten its boxes.
    """
    _struck_keepers: set[int] = field(default_factory=set)
    """Members that said it in more acks than an honest one ever has to."""
    kept_changes: int = 0
    """Counts what is said of kept boxes that was not said before."""
    _doubled: set[int] = field(default_factory=set)
    """Holders that acked two dealings of one dealer: they count for nothing."""
    _at_deadline: set[int] = field(default_factory=set)
    """Holders that said that their share deadline has passed."""

    def take(self, holder: int, ack: Verified) -> Verified | None:
        """Take a well-formed ack. Returns an earlier one of the same holder that contradicts this one.

        What a holder says adds up, in whatever order it is heard. Otherwise a liar could have its acks name this for
        one member and that for another, without a contradiction, and they would never agree on who holds what.
        """
        message = ack.message
        assert isinstance(message, Ack)
        if message.at_deadline:
            self._at_deadline.add(holder)
        named, before = dict(message.dealings), self._named.get(holder, _NOTHING)
        for dealer in named.keys() & before.keys():
            if named[dealer] != before[dealer]:
                self.strike(holder)
                return self.proof(holder, dealer, before[dealer])
        self.changes += 1
        self._believe_kept(holder, ack, named)
        self._add_up(holder, ack, named, before)
        return None

    def _add_up(self, holder: int, ack: Verified, named: Mapping[int, bytes], before: Mapping[int, bytes]) -> None:
        latest = self.latest.get(holder)
        if latest is None or self._size(ack) >= self._size(latest):
            self.latest[holder] = ack
        if latest is not None and named.items() <= before.items():
            return
        if latest is not None and not before.items() <= named.items():
            behind = self._behind.setdefault(holder, dict.fromkeys(before, latest))
            for dealer in named.keys() - before.keys():
                behind[dealer] = ack
            whole = {**before, **named}
        else:
            self._behind.pop(holder, None)
            whole = dict(named)
        for dealer in named.keys() - before.keys():
            counts = self._support.setdefault(dealer, {})
            counts[named[dealer]] = counts.get(named[dealer], 0) + 1
        self._named[holder] = self._last = self._last if whole == self._last else whole

    def _believe_kept(self, keeper: int, ack: Verified, named: Mapping[int, bytes]) -> None:
        """Count what a member says that it keeps, and remember what shows it to others.

        Otherwise a liar that says so to one member, in an ack that its next one replaces, would have that member insist
        for ever on what nobody else can see.
        """
        message = ack.message
        assert isinstance(message, Ack)
        said, known = set(message.kept), self._kept_behind.get(keeper, [])
        if not said or keeper in self._struck_keepers or any(said.issubset(_kept_by(one)) for one in known):
            return
        self.kept_changes += 1
        for dealer, other in said:
            if keeper not in (dealer, other):
                self._keepers.setdefault((dealer, named[dealer], other), set()).add(keeper)
        behind = [one for one in known if not said.issuperset(_kept_by(one))]
        self._kept_behind[keeper] = [*behind, ack]
        if len(behind) >= MAX_KEEPER_ACKS:
            self._struck_keepers.add(keeper)

    def take_together(self, acks: Iterable[tuple[int, Verified]]) -> None:
        """Take acks that a proposal carries, each with its holder, as proof of which members are no keepers.

        Whoever heard such a member say all of it in one ack as well has no other way to learn that.
        """
        said: dict[int, list[Verified]] = {}
        for holder, ack in acks:
            if _kept_by(ack):
                said.setdefault(holder, []).append(ack)
        for holder, some in said.items():
            for start in range(len(some) - MAX_KEEPER_ACKS):
                proof = some[start : start + MAX_KEEPER_ACKS + 1]
                if holder not in self._struck_keepers and _are_all_other(proof):
                    self._kept_behind[holder] = proof
                    self._struck_keepers.add(holder)
                    self.changes += 1

    @staticmethod
    def _size(ack: Verified) -> tuple[int, int, bool]:
        assert isinstance(ack.message, Ack)
        return len(ack.message.dealings), len(ack.message.kept), ack.message.at_deadline

    def strike(self, holder: int) -> None:
        """A holder is proved to have acked two dealings of one dealer.

        Members that saw one of its acks and those that saw the other would name it in J or not, for ever.
        """
        self._doubled.add(holder)
        self.changes += 1

    def of(self, holder: int) -> Mapping[int, bytes]:
        """Return the dealings that a holder acked, by dealer."""
        return self._named.get(holder, _NOTHING)

    def dealings(self, dealers: Iterable[int]) -> dict[int, bytes]:
        """Return the dealing of each of these dealers that most holders acked; none for one that nobody acked."""
        found = {}
        for dealer in dealers:
            counts = self._support.get(dealer)
            if counts:
                found[dealer] = max(sorted(counts), key=counts.__getitem__)
        return found

    def unsettled(self, dealings: Mapping[int, bytes], holders: Iterable[int]) -> set[int]:
        """Return the dealers of which one of these holders has no share and could not have had it."""
        found: set[int] = set()
        for named, alike in self._alike(one for one in holders if one not in self._doubled):
            for dealer, dealing in dealings.items() - named.items():
                if dealer not in found and any(not self._could_hold(dealer, dealing, holder) for holder in alike):
                    found.add(dealer)
        return found

    def _could_hold(self, dealer: int, dealing: bytes, holder: int) -> bool:
        keepers = self._keepers.get((dealer, dealing, holder), set()) - self._doubled - self._struck_keepers
        return holder == dealer or len(keepers) > self.committee.f

    def is_past_deadline(self) -> bool:
        """Whether the share deadline of somebody honest has passed, as f+1 members say."""
        return len(self._at_deadline) > self.committee.f

    def proof(self, holder: int, dealer: int, dealing: bytes) -> Verified | None:
        """Return an ack of a holder that names this dealing, if it has ever given one."""
        if self.of(holder).get(dealer) != dealing:
            return None
        return self._behind.get(holder, {}).get(dealer, self.latest[holder])

    def proofs(self, holder: int) -> list[Verified]:
        """Return the acks that show all that a holder acked, and what it keeps: one, but for liars."""
        kept = () if holder in self._struck_keepers else self._kept_behind.get(holder, ())
        acks = (self.latest[holder], *self._behind.get(holder, {}).values(), *kept)
        return list({ack.raw: ack for ack in acks}.values())

    def proof_against(self, keeper: int) -> list[Verified]:
        """Return the acks that prove that a member is no keeper for anybody; none where it may be one."""
        return self._kept_behind[keeper] if keeper in self._struck_keepers else []

    def keeps(self, keeper: int, dealer: int, dealing: bytes, holder: int) -> bool:
        """Whether a member has said that it keeps the box of this dealing for this holder."""
        return keeper in self._keepers.get((dealer, dealing, holder), ())

    def holders_of(self, dealings: Mapping[int, bytes]) -> tuple[int, ...]:
        """Return the holders that acked all of these dealings."""
        wanted = dealings.items()
        groups = self._alike(self._named.keys() - self._doubled)
        return tuple(sorted(one for named, alike in groups if wanted <= named.items() for one in alike))

    def _alike(self, holders: Iterable[int]) -> list[tuple[Mapping[int, bytes], list[int]]]:
        """Group holders whose acks are one and the same object, so that it is looked at once."""
        groups: dict[int, tuple[Mapping[int, bytes], list[int]]] = {}
        for holder in holders:
            named = self._named.get(holder, _NOTHING)
            groups.setdefault(id(named), (named, []))[1].append(holder)
        return list(groups.values())

    def choose(self, dealings: Mapping[int, bytes]) -> Choice | None:
        """Return these dealings as U with the largest J, or None where one of them is too small."""
        holders = self.holders_of(dealings)
        if len(dealings) < self.committee.min_contributors or len(holders) < self.committee.sum_quorum:
            return None
        return Choice(tuple(sorted(dealings.items())), holders)


def _are_all_other(acks: list[Verified]) -> bool:
    """Whether of these acks none names all the kept boxes that another one names."""
    kept = [set(_kept_by(ack)) for ack in acks]
    return not any(one <= other for index, one in enumerate(kept) for other in (*kept[:index], *kept[index + 1 :]))


def _kept_by(ack: Verified) -> tuple[tuple[int, int], ...]:
    assert isinstance(ack.message, Ack)
    return ack.message.kept


def wrong_ack(message: Ack, members: int) -> str | None:
    """Say why an ack is none that an honest member sends."""
    named = [dealer for dealer, _ in message.dealings]
    if named != sorted(set(named)) or (named and named[-1] >= members):
        return "a malformed ack"
    kept = list(message.kept)
    if (
        kept != sorted(set(kept))
        or any(holder >= members for _, holder in kept)
        or not {d for d, _ in kept} <= set(named)
    ):
        return "an ack of boxes that cannot be kept"
    return None
