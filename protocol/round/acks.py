"""Acks: which members hold shares of which dealings, and so which dealings are summed, and by which holders.

A missing ack has two possible causes: a holder that does not give it, or a dealer that has not given the holder its
share. It is settled, not guessed, which one it is. The dealer hands the *sealed* box for that holder to other members.
They keep it, serve it to the holder, and say so in their acks. Of f+1 such keepers one is honest, so the holder could
have had its share: it acks, complains with proof, or is no holder of this round. A dealer that does not hand the box
over does not contribute. So f liars cannot keep out an honest dealer that is there in time, whether they refuse its
shares or keep back their own.

A dealing is *settled* for a holder that acked it, or whose box f+1 members keep. U is every settled dealing, and J is
every holder that acked all of U (docs/protocol.md, "Acks and disputes").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..ledger.committee import Committee
from ..limits import MAX_KEEPER_ACKS
from ..messages.envelope import Verified
from ..messages.kinds import Ack
from ..schemes import Choice

_NOTHING: Mapping[int, bytes] = {}


@dataclass(slots=True)
class Acks:
    """The acks of one round."""

    committee: Committee
    changes: int = 0
    """Counts the changes of what is known here, so that results that depend on it are computed once for each change."""
    latest: dict[int, Verified] = field(default_factory=dict)
    """By holder, its ack that names most; the one of an honest holder names all that it ever acked."""
    _named: dict[int, Mapping[int, bytes]] = field(default_factory=dict)
    """By holder, the dealings that it acked, in whatever ack: one of each dealer. Most holders ack the same dealings;
    these then share one object.
    """
    _last: Mapping[int, bytes] = field(default_factory=dict)
    """The object that was entered last, to be shared."""
    _behind: dict[int, dict[int, Verified]] = field(default_factory=dict)
    """By holder and dealer, the first ack that names the dealing, for holders of which no single ack names all."""
    _support: dict[int, dict[bytes, int]] = field(default_factory=dict)
    """By dealer, how many holders acked each of its dealings; an honest dealer has one dealing."""
    _keepers: dict[tuple[int, bytes, int], set[int]] = field(default_factory=dict)
    """Members that keep the box of a dealing (dealer, id) for a holder. Said in one ack, it counts for good."""
    _kept_behind: dict[int, list[Verified]] = field(default_factory=dict)
    """By keeper, the acks that show all boxes that it ever named. Each ack of an honest keeper names the boxes of its
    acks before, unless it was restarted and has lost them.
    """
    _struck_keepers: set[int] = field(default_factory=set)
    """Members that named boxes in more such acks than an honest keeper ever needs: they are no keepers for anybody."""
    kept_changes: int = 0
    """Counts the acks that named kept boxes in a new way."""
    _doubled: set[int] = field(default_factory=set)
    """Holders that acked two dealings of one dealer: they count for nothing."""
    _at_deadline: set[int] = field(default_factory=set)
    """Holders that said that their share deadline has passed."""

    def take(self, holder: int, ack: Verified) -> Verified | None:
        """Take a well-formed ack. Returns an earlier ack of the same holder that contradicts it, if there is one.

        What the acks of a holder say adds up, in whatever order they are heard. Otherwise a liar could send acks that
        name some dealings to one member and others to another, without a contradiction, and these would never agree on
        what it holds.
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
        """Add the dealings that an ack names to those that its holder acked before."""
        latest = self.latest.get(holder)
        if latest is None or self._size(ack) >= self._size(latest):
            self.latest[holder] = ack
        if latest is not None and named.items() <= before.items():  # nothing new
            return
        if latest is not None and not before.items() <= named.items():
            # No single ack names all any more: keep, for each dealing, one that does name it.
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
        # Equal dealings become one object, by which :meth:`_alike` groups the holders.
        self._named[holder] = self._last = self._last if whole == self._last else whole

    def _believe_kept(self, keeper: int, ack: Verified, named: Mapping[int, bytes]) -> None:
        """Count the boxes that a member says it keeps, and remember the acks that show this to others.

        Otherwise a liar could say so to one member alone, in an ack that its next ack replaces, and that member would
        insist for ever on something that nobody else can see.
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
        behind = [one for one in known if not said.issuperset(_kept_by(one))]  # acks that this one does not replace
        self._kept_behind[keeper] = [*behind, ack]
        if len(behind) >= MAX_KEEPER_ACKS:
            self._struck_keepers.add(keeper)

    def take_together(self, acks: Iterable[tuple[int, Verified]]) -> None:
        """Take the acks that a proposal carries, each with its holder, as proof that some members are no keepers.

        A member that also heard such a keeper name all its boxes in one ack has no other way to learn it.
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
        """Return how much an ack says; among those of one holder the largest is repeated to others."""
        assert isinstance(ack.message, Ack)
        return len(ack.message.dealings), len(ack.message.kept), ack.message.at_deadline

    def strike(self, holder: int) -> None:
        """Let a holder count for nothing: it is proved to have acked two dealings of one dealer.

        Otherwise members that saw one of its acks would put it into J, and members that saw the other would not, for
        ever.
        """
        self._doubled.add(holder)
        self.changes += 1

    def of(self, holder: int) -> Mapping[int, bytes]:
        """Return the dealings that a holder acked, by dealer."""
        return self._named.get(holder, _NOTHING)

    def dealings(self, dealers: Iterable[int]) -> dict[int, bytes]:
        """Return, for each of these dealers, the dealing that most holders acked; none for a dealer without acks."""
        found = {}
        for dealer in dealers:
            counts = self._support.get(dealer)
            if counts:
                found[dealer] = max(sorted(counts), key=counts.__getitem__)
        return found

    def unsettled(self, dealings: Mapping[int, bytes], holders: Iterable[int]) -> set[int]:
        """Return the dealers of which one of these holders lacks its share and could not have had it."""
        found: set[int] = set()
        for named, alike in self._alike(one for one in holders if one not in self._doubled):
            for dealer, dealing in dealings.items() - named.items():
                if dealer not in found and any(not self._could_hold(dealer, dealing, holder) for holder in alike):
                    found.add(dealer)
        return found

    def _could_hold(self, dealer: int, dealing: bytes, holder: int) -> bool:
        """Whether f+1 members keep the holder's box, so that an honest one serves it; or the holder is the dealer."""
        keepers = self._keepers.get((dealer, dealing, holder), set()) - self._doubled - self._struck_keepers
        return holder == dealer or len(keepers) > self.committee.f

    def is_past_deadline(self) -> bool:
        """Whether f+1 members say that their share deadline has passed: one of them is honest."""
        return len(self._at_deadline) > self.committee.f

    def proof(self, holder: int, dealer: int, dealing: bytes) -> Verified | None:
        """Return an ack of a holder that names this dealing; None if it gave none."""
        if self.of(holder).get(dealer) != dealing:
            return None
        return self._behind.get(holder, {}).get(dealer, self.latest[holder])

    def proofs(self, holder: int) -> list[Verified]:
        """Return the acks that show all that a holder acked, and what it keeps, the latest first: most often one."""
        kept = () if holder in self._struck_keepers else self._kept_behind.get(holder, ())
        acks = (self.latest[holder], *self._behind.get(holder, {}).values(), *kept)
        return list({ack.raw: ack for ack in acks}.values())

    def proof_against(self, keeper: int) -> list[Verified]:
        """Return the acks that prove that a member is no keeper for anybody; none if it may be one."""
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
        """Group the holders whose acked dealings are one and the same object, so that each is looked at once."""
        groups: dict[int, tuple[Mapping[int, bytes], list[int]]] = {}
        for holder in holders:
            named = self._named.get(holder, _NOTHING)
            groups.setdefault(id(named), (named, []))[1].append(holder)
        return list(groups.values())

    def choose(self, dealings: Mapping[int, bytes]) -> Choice | None:
        """Return these dealings as U, with the largest J for them; None if U or J is too small."""
        holders = self.holders_of(dealings)
        if len(dealings) < self.committee.min_contributors or len(holders) < self.committee.sum_quorum:
            return None
        return Choice(tuple(sorted(dealings.items())), holders)


def _are_all_other(acks: list[Verified]) -> bool:
    """Whether none of these acks names all the kept boxes that another one of them names."""
    kept = [set(_kept_by(ack)) for ack in acks]
    return not any(one <= other for index, one in enumerate(kept) for other in (*kept[:index], *kept[index + 1 :]))


def _kept_by(ack: Verified) -> tuple[tuple[int, int], ...]:
    assert isinstance(ack.message, Ack)
    return ack.message.kept


def wrong_ack(message: Ack, members: int) -> str | None:
    """Say why no honest member sends such an ack; None if it is well-formed. ``members``: how many the round has."""
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
