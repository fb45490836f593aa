"""What a member passes on of what others signed, so that all see it: a liar may have said it to some only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .committee import Committee
from .envelope import Verified
from .outbox import Outbox


@dataclass(slots=True)
class Showing:
    """What was shown to whom in one round."""

    out: Outbox
    committee: Committee
    _shown: set[tuple[int, int]] = field(default_factory=set)
    """To which holder this member has shown which dealing that differs from the one that it acked."""
    _vouched: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """By holder and dealer, the ack with which this member has shown to all that the one acked the other's dealing."""

    def other_dealings(
        self, holder: int, acked: Mapping[int, bytes], deals: Mapping[int, Verified], id_of: Callable[[Verified], bytes]
    ) -> None:
        """Show a holder the dealings that differ from those it acked: two of one dealer are evidence against it."""
        for dealer, dealing in acked.items():
            deal = deals.get(dealer)
            if deal is None or id_of(deal) == dealing or (holder, dealer) in self._shown:
                continue
            if sum(one == holder for one, _ in self._shown) <= self.committee.f:  # no more than f dealers deal twice
                self._shown.add((holder, dealer))
                self.out.send(self.committee.members[holder], deal.raw)

    def vouch(self, holder: int, dealer: int, ack: Verified | None) -> bool:
        """Show all that a holder acked a dealing. Returns whether that was news.

        It may have shown the ack to the dealer alone, so that this dealer hands nothing over and is left out; or to
        keepers, so that these keep nothing.
        """
        if ack is None or (holder, dealer) in self._vouched:
            return False
        self._vouched[(holder, dealer)] = ack.raw
        self.out.send(None, ack.raw)
        return True

    def resend(self, to: bytes | None) -> None:
        """Show the acks again, to all or to a member that (re)connected and may never have had them."""
        for ack in dict.fromkeys(self._vouched.values()):
            self.out.send(to, ack)
