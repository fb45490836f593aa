"""Members that were waited for in vain until a share deadline, and are not waited for in the next rounds.

By then it is settled whose fault a missing ack is (:mod:`.acks`): that of a holder which could have had its share, or
that of a dealer which did not hand the box over. It is each member's own view, and guides only when it acks and
proposes; acks and dealings that come in time all the same count as ever, and no dealing that is settled is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .committee import Committee
from .limits import MAX_UNAWAITED, UNAWAITED_ROUNDS


@dataclass(slots=True)
class Patience:
    """What one member remembers of the rounds so far: keys of members, each with the last round, oldest first."""

    round: int = 0
    _holders: dict[bytes, int] = field(default_factory=dict)
    _dealers: dict[bytes, int] = field(default_factory=dict)
    _out_of_reach: dict[bytes, int] = field(default_factory=dict)

    def on_round(self, round_: int) -> None:
        """A round begins: forget what is too long ago."""
        self.round = round_
        for memory in (self._holders, self._dealers, self._out_of_reach):
            for member in [one for one, last in memory.items() if round_ - last > UNAWAITED_ROUNDS]:
                del memory[member]

    def late_holders(self, committee: Committee) -> frozenset[int]:
        """Return the holders whose acks are not waited for."""
        return _places(self._holders, committee)

    def out_of_reach(self, committee: Committee) -> frozenset[int]:
        """Return the holders whose boxes others keep from the start: at a deadline they had not acked this dealer."""
        return _places((*self._holders, *self._out_of_reach), committee)

    def on_deadline(self, lacking: Iterable[bytes]) -> None:
        """A share deadline has come, and these holders that are there have not acked this member's own dealing."""
        self._remember(self._out_of_reach, lacking)

    def late_dealers(self, committee: Committee) -> frozenset[int]:
        """Return the dealers that are not waited for."""
        return _places(self._dealers, committee)

    def on_overdue(self, holders: Iterable[bytes], dealers: Iterable[bytes]) -> None:
        """What was missing at a share deadline is settled: remember whose fault it was."""
        self._remember(self._holders, holders)
        self._remember(self._dealers, dealers)

    def _remember(self, memory: dict[bytes, int], members: Iterable[bytes]) -> None:
        for member in members:
            memory.pop(member, None)
            memory[member] = self.round
        for member in list(memory)[:-MAX_UNAWAITED]:
            del memory[member]


def _places(memory: Iterable[bytes], committee: Committee) -> frozenset[int]:
    return frozenset(place for member in memory if (place := committee.index(member)) is not None)
