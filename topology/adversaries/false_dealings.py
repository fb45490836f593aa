"""Lies about shares and sums, which the checks of a round must find."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as structs_replace

from ...protocol.events import Event, Received, Send
from ...protocol.jobs import Encode, SumShares
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Deal, SumShare
from ...protocol.schemes.base import Dealing, blob_digests
from ..engine.adversary import Adversary
from ..engine.site import Turn
from . import forging
from .collusion import plan_of
from .provers import lie_about, stubborn

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site


class MisDeal(Adversary):
    """Deals falsely, in turns: shares off its published polynomials, or a box for one holder that does not open."""

    name = "mis-deal"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(result, Dealing) or not result.deal.published:
            return result
        if result.deal.round % 2:
            return replace(
                result, deal=structs_replace(result.deal, published=bytes(7) + b"\1" + result.deal.published[8:])
            )
        holders = [index for index, blob in enumerate(result.blobs) if blob]
        victim = holders[self.random.randrange(len(holders))]
        spoilt = bytes([result.blobs[victim][0] ^ 1]) + result.blobs[victim][1:]
        blobs = (*result.blobs[:victim], spoilt, *result.blobs[victim + 1 :])
        return replace(result, blobs=blobs, deal=structs_replace(result.deal, box_hashes=blob_digests(blobs)))


class Withhold(Adversary):
    """Acks every dealing, and never sends its sum share."""

    name = "withhold"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        return () if isinstance(message.message, SumShare) else (send,)


class WrongShare(Adversary):
    """Sends a wrong sum share, and a fingerprint that fits it."""

    name = "wrong-share"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(work, SumShares):
            return result
        data = bytes([result[0][0] ^ 1]) + result[0][1:]
        return data, digest_of(data)


class NonEncoding(Adversary):
    """Contributes a vector that no update, count or sum encodes to, in every kind of round."""

    name = "non-encoding"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._way = self.random.choice(("any", "any", *forging.NON_ENCODINGS))

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(work, Encode):
            return result
        way = self.random.choice(forging.NON_ENCODINGS) if self._way == "any" else self._way
        return forging.non_encoding(work, result, way, self.random)

    def bend_work(self, work: Any) -> Any:
        return stubborn(work) if forging.is_proved_dealing_job(work) else work


class FalseProof(Adversary):
    """Deals what is no update of its weight, with a proof that lies at one of its steps.

    Where nothing is proved, it deals as it should.
    """

    name = "false-proof"

    def bend_work(self, work: Any) -> Any:
        return lie_about(work, self.random) if forging.is_proved_dealing_job(work) else work


class LongestUpdate(Adversary):
    """Contributes, in place of its update, the longest one that can be proved."""

    name = "longest-update"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not isinstance(work, Encode) or work.layout.proved is None or not work.layout.slots:
            return result
        return forging.longest(work, result)


class GarbageBox(Adversary):
    """Deals as it should, except that the boxes of some victims open to garbage."""

    name = "garbage-box"

    def bend_result(self, work: Any, result: Any) -> Any:
        if not forging.is_dealing_job(work) or not any(result.blobs):
            return result
        committee = forging.committee_of(work)
        chosen = [site.key for site in plan_of(self.simulation).order][: self.random.randint(1, max(1, committee.f))]
        victims = [place for key in chosen if (place := committee.index(key)) is not None]
        return forging.garbage_boxes(work, result, victims)


class FalseComplaint(Adversary):
    """Complains about dealings in which nothing is wrong."""

    name = "false-complaint"

    def on_event(self, event: Event) -> bool:
        message = self.received(event)
        if message is None or not isinstance(message.message, Deal) or not isinstance(event, Received):
            return True
        made = forging.complaint(self.site, message, event.blob or b"")
        if made is not None and self.random.random() < 0.5:
            raw = self.sign(made[0])
            for other in self.others:
                self.say(other, raw, made[1])
        return True


class WrongBlob(Adversary):
    """Sends messages without their blobs, and serves false blobs to members that ask for them."""

    name = "wrong-blob"
    turn = Turn.SAID

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if send.blob is None or receiver.number not in self.half:
            return (send,)
        digest = digest_of(send.blob)
        if self.random.random() < 0.7:
            self.site.offer(digest, bytes([send.blob[0] ^ 1]) + send.blob[1:])
        return (replace(send, blob=None),)
