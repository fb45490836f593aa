"""Two stories about everything: one half of the members is told something different from the other half."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from ...protocol.events import Send
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import (
    Ack,
    Blocks,
    Deal,
    HandBox,
    JoinRequest,
    Message,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    Status,
    SumShare,
    Weights,
)
from ..engine.adversary import Adversary
from . import forging
from .collusion import plan_of
from .voting import other_block

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

BOTH_STORIES: Final = 0.3
"""How often a member is told both stories."""

SECRETLY: Final = ("split", "closed")
"""Ways to deal twice of which no member is told both stories: that would prove the lie at once."""

HEADS: Final = (-1, 0, 0, 3, 100)
"""Errors of the heights that the heartbeat claims, in turn."""


class _TwoStories(Adversary):
    """Tells half of the members something different, in messages of some kinds."""

    kinds: tuple[type[Message], ...] = ()

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not isinstance(message.message, self.kinds) or receiver.number not in self.half:
            return (send,)
        if message.sender != self.site.key:
            return () if isinstance(message.message, JoinRequest) else (send,)
        other = self._other(message.message, send.blob)
        if other is None:
            return (send,)
        told = Send(send.to, self.sign(other[0], message.height, message.view), other[1])
        return (told, send) if self.random.random() < BOTH_STORIES else (told,)

    def _other(self, said: Message, blob: bytes | None) -> tuple[Message, bytes | None] | None:
        if isinstance(said, Proposal):
            data = other_block(said.block)
            return None if data is None else (Proposal(data, -1, said.acks, (), said.vector_hash), blob)
        return forging.other_version(said, blob, self.random)


class TwoAcks(_TwoStories):
    """Acks other or fewer dealings towards half of the members."""

    name = "two-acks"
    kinds = (Ack,)


class TwoSums(_TwoStories):
    """Sends half of the members another sum share, and another fingerprint of the sum."""

    name = "two-sums"
    kinds = (SumShare, Prevote)

    def _other(self, said: Message, blob: bytes | None) -> tuple[Message, bytes | None] | None:
        if isinstance(said, Prevote) and (said.z is None or said.block_hash is None):
            return None
        return super()._other(said, blob)


class TwoLedgers(_TwoStories):
    """Serves half of the members another ledger and status and keeps join requests from them; claims false heights."""

    name = "two-ledgers"
    kinds: tuple[type[Message], ...] = (Blocks, Status, Weights, JoinRequest)

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._claims = 0

    def claimed_height(self, height: int) -> int:
        self._claims += 1
        return max(0, height + HEADS[self._claims % len(HEADS)])


class TwoFaced(TwoLedgers):
    """Tells two stories in everything that it signs or serves."""

    name = "two-faced"
    kinds = (
        Deal,
        HandBox,
        Ack,
        SitOut,
        SumShare,
        Proposal,
        Prevote,
        Precommit,
        Blocks,
        Status,
        Weights,
        JoinRequest,
    )

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Tell some of the members that it deals to that it sits out, too."""
        yield from super().bend_send(receiver, message, send)
        if isinstance(message.message, Deal) and message.sender == self.site.key and self.random.random() < 0.2:
            yield Send(send.to, self.sign(SitOut(message.message.round, "no"), message.height, message.view))


class TwinDeal(Adversary):
    """Deals twice in a round: the colluders' victims, or half of the members, get a different dealing.

    The ways to do it:

    * "split": one root with two sets of fingerprints. A victim's share passes its check, but is off the polynomials of
      the other holders' shares.
    * "closed": the same, with more victims than the sum can be opened without, so that it stays closed.
    * "boxes": two lists of boxes.
    * "complete": two complete dealings.
    * "different": two complete dealings of different contributions.
    """

    name = "twin-deal"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self.deals_twice = False
        """Whether it has dealt two different contributions; a checker cannot know which one counts then."""
        self._way = self.random.choice(("split", "split", "split", "closed", "boxes", "complete", "different"))
        self._told: dict[int, dict[int, Any]] = {}
        """The other dealings, by round and by the place of the receiver in the committee."""

    def bend_result(self, work: Any, result: Any) -> Any:
        if not forging.is_dealing_job(work):
            return result
        places = self._places(work)
        match self._way:
            case "split" | "closed" if forging.has_shares(result) and places:
                result, told = forging.split_dealing(work, frozenset(places))
            case "different":
                self.deals_twice = True
                vector = work.vector[:-8] + bytes(8)
                told = dict.fromkeys(places, forging.other_dealing(work, vector))
            case "complete":
                told = dict.fromkeys(places, forging.other_dealing(work))
            case _:
                told = dict.fromkeys(places, forging.other_boxes(result))
        self._told[forging.round_of(result)] = told
        return result

    def _places(self, work: Any) -> tuple[int, ...]:
        """Return the places of the members that get a different dealing."""
        committee = forging.committee_of(work)
        victims = [one.key for one in plan_of(self.simulation).order]
        room = committee.n - committee.sum_quorum
        match self._way:
            case "split":
                wanted = victims[:room]
            case "closed":
                wanted = victims[: min(room + 1, committee.n - committee.threshold)]
            case _:
                wanted = [one.key for one in self.others if one.number in self.half]
        return tuple(sorted(place for key in wanted if (place := committee.index(key)) is not None))

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not isinstance(message.message, Deal) or message.sender != self.site.key or self.site.node is None:
            return (send,)
        place = self.site.node.state.committee.index(receiver.key)
        made = None if place is None else self._told.get(message.message.round, {}).get(place)
        if made is None or place is None:
            return (send,)
        raw = self.sign(forging.deal_of(message.message, made), message.height, message.view)
        told = Send(send.to, raw, made.blobs[place] or None)
        return (told, send) if self._way not in SECRETLY and self.random.random() < BOTH_STORIES else (told,)
