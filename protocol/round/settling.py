"""Which dealings of a round are settled, and so which of them are summed, and by which holders.

U is every settled dealing, and J every holder that acked all of U (docs/protocol.md, "Acks and disputes"). What is
settled depends on acks (:mod:`.acks`), and on the members that are present: those to which there is a link (``alive``).
``changes`` counts how often ``alive`` changed, so that results that depend on it are computed once for each change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..ledger.committee import Committee
from ..schemes import Choice
from .acks import Acks
from .overdue_acks import OverdueAcks


@dataclass(slots=True)
class Settling:
    """What one member sees as settled in one round; :class:`.sharing.Sharing` keeps the members that do not count."""

    committee: Committee
    own_key: bytes
    acks: Acks
    patience: OverdueAcks
    excluded: set[int]
    """Members whose updates do not count."""
    sat_out: Mapping[int, str]
    """Members that have no update for this round."""
    me: int | None = field(init=False)
    _present_seen: tuple[int, frozenset[int]] = (-1, frozenset())
    """The present members, with the ``changes`` for which they were found."""
    _settled_seen: tuple[tuple[int, ...], dict[int, bytes]] = ((), {})
    """The settled dealings, with what they depend on."""
    _choice_seen: tuple[tuple[int, ...], Choice | None] = ((), None)
    """The last choice, with what it depends on."""

    def __post_init__(self) -> None:
        self.me = self.committee.index(self.own_key)

    def present(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return the places of the present members, this one included."""
        if self._present_seen[0] != changes:
            places = {self.committee.index(member) for member in (*alive, self.own_key)}
            self._present_seen = changes, frozenset(place for place in places if place is not None)
        return self._present_seen[1]

    def settled(self, alive: Iterable[bytes], changes: int) -> dict[int, bytes]:
        """Return the settled dealings: no present member lacks its share of one by the dealer's fault."""
        key = (changes, self.acks.changes, len(self.excluded))
        if key != self._settled_seen[0]:
            # Excluded members do not count as holders: they may say one thing to some and another to others.
            self._settled_seen = key, self._settled_for(self.present(alive, changes) - self.excluded)
        return self._settled_seen[1]

    def _settled_for(self, holders: Iterable[int]) -> dict[int, bytes]:
        """Return the dealings that are settled for all of these holders, without those of excluded dealers."""
        dealings = self.acks.dealings(set(range(self.committee.n)) - self.excluded)
        for dealer in self.acks.unsettled(dealings, holders):
            del dealings[dealer]
        return dealings

    def choice(self, required: Sequence[bytes] | None, alive: Iterable[bytes], changes: int) -> Choice | None:
        """Return U, all settled dealings, and J, all holders that acked all of U; None if one of them is too small.

        ``required``: the exact contributors, if a sum on the same base model has to be repeated.
        """
        wanted = None if required is None else {self.committee.index(member) for member in required}
        key = (
            changes,
            self.acks.changes,
            len(self.excluded),
            *(sorted(one for one in wanted or () if one is not None)),
        )
        if key != self._choice_seen[0]:
            if wanted is None:
                found = self.acks.choose(self.settled(alive, changes))
            else:
                settled = self.settled(alive, changes)
                dealings = {one: settled[one] for one in wanted if one is not None and one in settled}
                found = self.acks.choose(dealings) if dealings.keys() == wanted else None
            self._choice_seen = key, found
        return self._choice_seen[1]

    def choice_by_proof(self) -> Choice | None:
        """Return U and J as the acks alone show them: no honest member refuses these, whatever links it sees.

        A liar chooses the members that it keeps a link with. If links counted, a liar without a link to each next
        proposer, and with one to all others, would have each proposer take in a dealing that all others refuse.
        """
        return self.acks.choose(self._settled_for(range(self.committee.n)))

    def due(self, alive: Iterable[bytes], changes: int, is_over: bool) -> frozenset[int]:
        """Return the members that may not be left out of the contributors, as things stand here.

        Until the time to settle what is missing is over (``is_over``), these are also all present members that do not
        sit out, are not excluded and were not late before.
        """
        settled = frozenset(self.settled(alive, changes))
        return settled if is_over else settled | self.expected(alive, changes)

    def due_by_proof(self) -> frozenset[int]:
        """Return the members that may not be left out, whatever links are seen: settled for the whole committee."""
        return frozenset(self._settled_for(range(self.committee.n)))

    def without_reason(self, dealers: Iterable[int], alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return those of these dealers by whose fault a present member lacks its share."""
        return frozenset(dealers) - self.settled(alive, changes).keys()

    def withheld(self, required: Sequence[bytes], alive: Iterable[bytes], changes: int) -> frozenset[bytes]:
        """Return the members that keep a sum from being repeated, now that it is settled whose fault missing acks are.

        These are dealers whose shares others lack by their fault. If there are none, they are holders that do not ack
        shares that they could have.
        """
        if self.choice(required, alive, changes) is not None:
            return frozenset()
        members, settled = self.committee.members, self.settled(alive, changes)
        places = {self.committee.index(one) for one in required}
        dealers = frozenset(members[one] for one in places if one is not None and one not in settled)
        if dealers or None in places:  # dealers first: nobody can ack a share that its dealer keeps back
            return dealers
        holders = self.acks.holders_of({one: settled[one] for one in places if one is not None})
        return frozenset(members) - {members[one] for one in holders}

    def expected(self, alive: Iterable[bytes], changes: int) -> frozenset[int]:
        """Return the dealers that are waited for: present, not sitting out, not excluded and not late before."""
        there = self.present(alive, changes) - self.sat_out.keys() - self.excluded
        return there - self.patience.late_dealers(self.committee)

    def is_complete(self, required: Sequence[bytes] | None, alive: Iterable[bytes], changes: int) -> bool:
        """Whether there is nothing to wait for: longer waiting could only bring in absent, late or excluded members."""
        holders = self.present(alive, changes) - self.patience.late_holders(self.committee) - self.excluded
        if not holders <= self.acks.latest.keys():  # cheap, and most often the answer
            return False
        choice = self.choice(required, alive, changes)
        if choice is None or not holders <= set(choice.holders):
            return False
        return required is not None or self.expected(alive, changes) <= dict(choice.dealers).keys()

    def overdue(self, alive: Iterable[bytes], changes: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the holders and the dealers that were waited for in vain until the share deadline.

        A holder that lacks a settled dealing could have had its share. A dealer whose dealing reached enough holders
        and is not settled kept it from the others. A dealer that dealt to too few holders is slow itself, and is waited
        for as ever.
        """
        present, settled = self.present(alive, changes), self.settled(alive, changes)
        holders = frozenset(one for one in present if settled.items() - self.acks.of(one).items()) - {self.me}
        return holders, frozenset(self.reached(present).keys() - settled.keys() - {self.me})

    def reached(self, present: frozenset[int]) -> dict[int, bytes]:
        """Return the dealings of present dealers that K+f holders acked, enough to open a sum."""
        return self.acked_by(self.committee.sum_quorum, present)

    def acked_by(self, least: int, present: frozenset[int]) -> dict[int, bytes]:
        """Return the dealings of present dealers that at least ``least`` holders acked."""
        dealt = self.acks.dealings(present - self.excluded)
        return {one: id_ for one, id_ in dealt.items() if len(self.acks.holders_of({one: id_})) >= least}

    def missing(self) -> tuple[bytes, ...]:
        """Return the members that a void names: those without an ack, or with a dealing that too few acked."""
        dealings = self.acks.dealings(range(self.committee.n))
        return tuple(
            member
            for index, member in enumerate(self.committee.members)
            if index not in self.acks.latest
            or index not in dealings
            or len(self.acks.holders_of({index: dealings[index]})) < self.committee.sum_quorum
        )
