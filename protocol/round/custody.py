"""Sealed boxes of other members' dealings, which this member keeps and serves to the holders that they are for.

Only its holder can open a box, so keeping it gives nothing away. Boxes are kept in memory alone: other members keep the
same box, and its dealer can hand it over again.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from ..ledger.committee import Committee
from ..messages.envelope import Verified
from ..messages.kinds import HandBox


@dataclass(slots=True)
class Custody:
    """The boxes that this member keeps in one round."""

    committee: Committee
    _boxes: dict[tuple[int, int], tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    """By dealer and holder, the id of the dealing, and the box."""
    _early: dict[tuple[bytes, int, int], tuple[Verified, bytes | None]] = field(default_factory=dict, repr=False)
    """By sender, dealer and holder, boxes that came before the dealing that they belong to."""

    @property
    def per_dealer(self) -> int:
        """How many boxes of one dealer are kept: as many as there may be holders that lack a share of it."""
        return max(1, self.committee.f, self.committee.n - self.committee.sum_quorum)

    def has_room(self, dealer: int, holder: int) -> bool:
        """Whether one more box of this dealer would be kept."""
        return (dealer, holder) not in self._boxes and sum(one == dealer for one, _ in self._boxes) < self.per_dealer

    def make_room(self, dealer: int, acked: Container[int]) -> None:
        """Drop a dealer's boxes for holders that have acked its dealing since."""
        for pair in [one for one in self._boxes if one[0] == dealer and one[1] in acked]:
            del self._boxes[pair]

    def keep(self, dealer: int, dealing: bytes, holder: int, box: bytes) -> None:
        """Keep a box. Its digest must have been compared with the dealing."""
        self._boxes[(dealer, holder)] = dealing, box

    def keep_early(self, message: Verified, blob: bytes | None, me: int) -> None:
        """Keep a box until its dealing comes.

        Room is for as many boxes from a dealer as may be kept of it, and for one box for ``me`` from each sender.
        """
        handed = message.message
        assert isinstance(handed, HandBox)
        for_me = [holder == me for sender, _, holder in self._early if sender == message.sender]
        from_dealer = self.committee.index(message.sender) == handed.dealer
        if not any(for_me) if handed.holder == me else from_dealer and for_me.count(False) < self.per_dealer:
            self._early.setdefault((message.sender, handed.dealer, handed.holder), (message, blob))

    def take_early(self, dealer: int) -> list[tuple[Verified, bytes | None]]:
        """Return, and forget, the boxes that came before this dealer's dealing, which has come now."""
        return [self._early.pop(key) for key in [one for one in self._early if one[1] == dealer]]

    @property
    def count_early(self) -> int:
        """How many boxes wait for their dealing."""
        return len(self._early)

    def named(self, dealings: Mapping[int, bytes]) -> tuple[tuple[int, int], ...]:
        """Return the kept boxes that an ack of these dealings names, as (dealer, holder)."""
        return tuple(sorted(pair for pair, (dealing, _) in self._boxes.items() if dealings.get(pair[0]) == dealing))

    def boxes_for(self, holder: int) -> list[tuple[int, bytes, bytes]]:
        """Return the boxes kept for a holder, each as (dealer, the dealing's id, box)."""
        return [(dealer, *kept) for (dealer, other), kept in sorted(self._boxes.items()) if other == holder]

    def clear(self) -> None:
        """Drop everything: the round is over."""
        self._boxes.clear()
        self._early.clear()
