"""Statements of others that a member passes on, so that all see them: a liar may have made them to some only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..effects import Effects
from ..ledger.committee import Committee
from ..messages.envelope import Verified


@dataclass(slots=True)
class PassingOn:
    """What this member has shown to others in one round."""

    out: Effects
    committee: Committee
    _shown: set[tuple[int, int]] = field(default_factory=set)
    """Holder and dealer: the holder was shown a dealing of this dealer that differs from the one it acked."""
    _vouched: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By holder and dealer, the ack that was shown to all: in it the holder acks the dealer's dealing."""

    def other_dealings(
        self, holder: int, acked: Mapping[int, bytes], deals: Mapping[int, Verified], id_of: Callable[[Verified], bytes]
    ) -> None:
        """Show a holder the dealings that differ from those it acked: two dealings of one dealer are evidence."""
        for dealer, dealing in acked.items():
            deal = deals.get(dealer)
            if deal is None or id_of(deal) == dealing or (holder, dealer) in self._shown:
                continue
            if sum(one == holder for one, _ in self._shown) <= self.committee.f:  # no more than f dealers deal twice
                self._shown.add((holder, dealer))
                self.out.send(self.committee.members[holder], deal.raw)

    def vouch(self, holder: int, dealer: int, ack: Verified | None) -> bool:
        """Show to all that a holder acked a dealing. Returns whether this was not shown before.

        The holder may have shown the ack to the dealer alone, so that the dealer hands nothing over and is left out. Or
        it may have shown the ack to keepers alone, so that these keep nothing.
        """
        if ack is None or (holder, dealer) in self._vouched:
            return False
        self._vouched[(holder, dealer)] = ack.raw
        self.out.send(None, ack.raw)
        return True

    def resend(self, to: bytes | None) -> None:
        """Show the acks again, to all or to a member that (re)connected and may have missed them."""
        for ack in dict.fromkeys(self._vouched.values()):
            self.out.send(to, ack)
