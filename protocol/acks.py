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
    """The ack of each holder that counts: an honest holder's later ones only add to it."""
    _named: dict[int, dict[int, bytes]] = field(default_factory=dict)
    """By holder, the dealings that it acked. Most holders ack the same, which is then one object."""
    _last: dict[int, bytes] = field(default_factory=dict)
    _shown: dict[int, dict[int, Verified]] = field(default_factory=dict)
    """By holder and dealer, an ack that names the dealing where the holder's latest does not. No honest holder says
    less than before to anybody; one that does has its share all the same."""
    _support: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """By dealer, how many holders acked each of its dealings; an honest dealer has one."""
    _keepers: dict[tuple[int, bytes, int], set[int]] = field(default_factory=dict)
    """Members that keep the box of a dealing (dealer, id) for a holder."""
    _doubled: set[int] = field(default_factory=set)
    """Holders that acked two dealings of one dealer: they count for nothing."""

    def take(self, holder: int, ack: Verified) -> Verified | None:
        """Take a well-formed ack. Returns an earlier one of the same holder if it may contradict this one."""
        message = ack.message
        assert isinstance(message, Ack)
        named, earlier = dict(message.dealings), self.latest.get(holder)
        if earlier is not None and any(named.get(dealer, one) != one for dealer, one in self._named[holder].items()):
            self.strike(holder)
            return earlier
        for dealer, other in message.kept:
            if holder not in (dealer, other):
                self._keepers.setdefault((dealer, named[dealer], other), set()).add(holder)
        self.changes += 1
        if earlier is not None:
            before = self._named[holder]
            assert isinstance(earlier.message, Ack)
            if (len(named), len(message.kept)) < (len(before), len(earlier.message.kept)):
                self._keep_shown(holder, ack, named.keys() - before.keys())  # an older one that was late
                return None
            self._keep_shown(holder, earlier, before.keys() - named.keys())
            self._count(before, -1)
        if named == self._last:
            named = self._last
        self._named[holder] = self._last = named
        self.latest[holder] = ack
        self._count(named, 1)
        return None

    def strike(self, holder: int) -> None:
        """A holder is proved to have acked two dealings of one dealer.

        Members that saw one of its acks and those that saw the other would name it in J or not, for ever.
        """
        self._doubled.add(holder)
        self.changes += 1

    def _keep_shown(self, holder: int, ack: Verified, dealers: Iterable[int]) -> None:
        for dealer in dealers:
            self._shown.setdefault(holder, {})[dealer] = ack
            self.changes += 1

    def _count(self, named: Mapping[int, bytes], step: int) -> None:
        for dealer, dealing in named.items():
            counts = self._support.setdefault(dealer, {})
            counts[dealing] = counts.get(dealing, 0) + step

    def of(self, holder: int) -> Mapping[int, bytes]:
        """Return the dealings that a holder acked, by dealer."""
        return self._named.get(holder, _NOTHING)

    def dealings(self, dealers: Iterable[int]) -> dict[int, bytes]:
        """Return the dealing of each of these dealers that most holders acked; none for one that nobody acked."""
        found = {}
        for dealer in dealers:
            counts = {dealing: count for dealing, count in self._support.get(dealer, {}).items() if count > 0}
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
        keepers = self._keepers.get((dealer, dealing, holder), set()) - self._doubled
        return holder == dealer or len(keepers) > self.committee.f or self.proof(holder, dealer, dealing) is not None

    def proof(self, holder: int, dealer: int, dealing: bytes) -> Verified | None:
        """Return an ack of a holder that names this dealing, if it has ever given one."""
        if self.of(holder).get(dealer) == dealing:
            return self.latest[holder]
        ack = self._shown.get(holder, {}).get(dealer)
        if ack is None:
            return None
        assert isinstance(ack.message, Ack)
        return ack if (dealer, dealing) in ack.message.dealings else None

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
