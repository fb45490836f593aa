"""Whose acks were waited for in vain until a share deadline, and are not waited for in the next rounds.

An ack that does not come has two ends: a holder that does not give it, or a dealer that has not given that holder its
share. Nobody else can tell which. So what is given up is the ack of this holder for this dealer: neither can have
anybody else waited for less. It is each member's own guess, and guides only when it acks and proposes; acks that come
in time all the same count as ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .committee import Committee
from .limits import MAX_UNAWAITED_ACKS, UNAWAITED_ROUNDS
from .sharing import Sharing


@dataclass(slots=True)
class Patience:
    """What one member remembers of the rounds so far."""

    _given_up: dict[tuple[bytes, bytes | None], int] = field(default_factory=dict)
    """The round in which a holder's ack for a dealer (None: for all) was waited for, oldest first."""

    def on_deadline(self, sharing: Sharing, alive: Iterable[bytes], changes: int) -> None:
        """The acks of the share deadline have arrived: give up what is missing of them, and tell people."""
        overdue = sharing.overdue(alive, changes)
        if sharing.closed or not overdue:
            return
        members = sharing.committee.members
        for holder, dealer in overdue:
            pair = (members[holder], None if dealer is None else members[dealer])
            self._given_up.pop(pair, None)
            self._given_up[pair] = sharing.round
        for pair in list(self._given_up)[:-MAX_UNAWAITED_ACKS]:
            del self._given_up[pair]
        holders = tuple(members[holder] for holder in sorted({holder for holder, _ in overdue}))
        text = f"round {sharing.round}: {len(holders)} member(s) did not ack all shares by the deadline"
        sharing.out.notify("overdue", text, round=sharing.round, members=holders)

    def unawaited(self, round_: int, committee: Committee) -> dict[int, frozenset[int]]:
        """Return, by holder, the dealers for which its ack is not waited for in this round."""
        self._given_up = {pair: last for pair, last in self._given_up.items() if round_ - last <= UNAWAITED_ROUNDS}
        found: dict[int, set[int]] = {}
        for holder, dealer in self._given_up:
            place = committee.index(holder)
            other = None if dealer is None else committee.index(dealer)
            if place is not None and (dealer is None or other is not None):
                found.setdefault(place, set()).update(range(committee.n) if other is None else (other,))
        return {holder: frozenset(dealers) for holder, dealers in found.items()}
