"""Members that were waited for in vain until a share deadline, and are not waited for in the next rounds.

By then it is settled whose fault a missing ack is (:mod:`.acks`): that of a holder which could have had its share, or
that of a dealer which did not hand the box over. If it was not settled before the deadline, the pair is in dispute: the
dealer hands that box over at once when it deals in the next rounds, so nobody waits for it again.

All this is one member's own view, and decides only when that member acks and proposes. Acks and dealings that come in
time all the same count as ever, and no settled dealing is left out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..ledger.committee import Committee
from ..limits import MAX_UNAWAITED, UNAWAITED_ROUNDS
from .acks import Acks


@dataclass(slots=True)
class OverdueAcks:
    """What one member remembers of earlier rounds: keys of members, each with the latest round of it, oldest first."""

    round: int = 0
    _holders: dict[bytes, int] = field(default_factory=dict)
    _dealers: dict[bytes, int] = field(default_factory=dict)
    _disputes: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    """Pairs of a dealer and a holder that had not acked the dealer's dealing at a share deadline."""

    def on_round(self, round_: int) -> None:
        """Note that a round begins: forget what is too long ago."""
        self.round = round_
        for memory in (self._holders, self._dealers):
            for member in [one for one, last in memory.items() if round_ - last > UNAWAITED_ROUNDS]:
                del memory[member]
        self._disputes = {pair: last for pair, last in self._disputes.items() if round_ - last <= UNAWAITED_ROUNDS}

    def late_holders(self, committee: Committee) -> frozenset[int]:
        """Return the holders whose acks are not waited for; others keep their boxes from the start."""
        return _places(self._holders, committee)

    def late_dealers(self, committee: Committee) -> frozenset[int]:
        """Return the dealers that are not waited for."""
        return _places(self._dealers, committee)

    def disputed_holders(self, committee: Committee, dealer: bytes) -> frozenset[int]:
        """Return the holders in dispute with this dealer; it hands their boxes over as soon as it deals."""
        return _places([holder for one, holder in self._disputes if one == dealer], committee)

    def on_deadline(
        self, acks: Acks, dealings: Mapping[int, bytes], present: frozenset[int], me: bytes
    ) -> dict[int, frozenset[int]]:
        """Remember the pairs in dispute at the share deadline: dealers, and the present holders without an ack.

        In general it is not known yet which of the two is at fault. A holder is if others keep its box, or if it is in
        dispute with more than f dealers. A dealer is if it did not hand over at once a box that was in dispute before,
        or if it is in dispute with more than f holders.

        Args:
            acks: the acks of the round.
            dealings: the dealings in question, by dealer.
            present: the members with a link, by their places in the committee.
            me: this member, which does not blame itself.

        Returns:
            By dealer, the present holders that have not acked its dealing.
        """
        committee, members = acks.committee, acks.committee.members
        unsettled = acks.unsettled(dealings, present)
        before = {dealer: self.disputed_holders(committee, members[dealer]) for dealer in dealings}
        lacking = {
            dealer: frozenset(one for one in present if one != dealer and acks.of(one).get(dealer) != dealing)
            for dealer, dealing in sorted(dealings.items())
        }
        at_fault = {one for dealer, holders in lacking.items() if dealer not in unsettled for one in holders}
        for one in present:
            if sum(one in lacking[dealer] | before[dealer] for dealer in dealings) > committee.f:
                at_fault.add(one)
        self.on_overdue([members[one] for one in sorted(at_fault) if members[one] != me], ())
        for dealer, holders in lacking.items():
            now, earlier = holders - at_fault, before[dealer] - at_fault
            if members[dealer] != me and dealer in unsettled and (now & earlier or len(now | earlier) > committee.f):
                self.on_overdue((), (members[dealer],))
            self.on_disputes((members[dealer], members[one]) for one in sorted(now))
        return lacking

    def on_disputes(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Remember pairs (dealer, holder) in dispute, as of this round; the oldest are dropped beyond the bound."""
        for pair in pairs:
            self._disputes.pop(pair, None)
            self._disputes[pair] = self.round
        for pair in list(self._disputes)[:-MAX_UNAWAITED]:
            del self._disputes[pair]

    def on_overdue(self, holders: Iterable[bytes], dealers: Iterable[bytes]) -> None:
        """Remember the holders and dealers at fault for what was missing at a share deadline.

        A holder at fault is in dispute with nobody any more: it is not waited for at all.
        """
        for memory, members in ((self._holders, holders), (self._dealers, dealers)):
            for member in members:
                memory.pop(member, None)
                memory[member] = self.round
            for member in list(memory)[:-MAX_UNAWAITED]:
                del memory[member]
        settled = self._holders.keys()
        self._disputes = {pair: last for pair, last in self._disputes.items() if pair[1] not in settled}


def _places(memory: Collection[bytes], committee: Committee) -> frozenset[int]:
    if not memory:  # the usual case, and this is asked after every event
        return frozenset()
    return frozenset(place for member in memory if (place := committee.index(member)) is not None)
