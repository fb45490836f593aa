"""Complaints of holders about dealings: a box with the secret that opens it, judged the same way by everybody."""

from dataclasses import dataclass, field

from .committee import Committee
from .envelope import Rejected, Verified, verify
from .events import Fetch, Send
from .limits import INLINE_BLOB_BYTES
from .messages import Complaint, Deal, HandBox, dealing_id
from .outbox import Outbox
from .schemes import Scheme
from .schemes.base import CheckedShare, Terms


@dataclass(slots=True)
class Complaints:
    """The complaints of one round, as they come in at one member."""

    out: Outbox
    round: int
    committee: Committee
    scheme: Scheme
    terms: Terms
    _first: dict[tuple[int, int], Verified] = field(default_factory=dict)
    """The first complaint of each holder about each dealer: the only one that is fetched and judged."""
    _judging: set[tuple[int, int]] = field(default_factory=set)
    """Which of them are under judgement or judged."""
    _false_accusers: set[int] = field(default_factory=set)
    """Holders that complained falsely: nothing more is fetched and judged for them in this round."""
    _boxes: dict[tuple[int, int], bytes] = field(default_factory=dict, repr=False)
    """The boxes that are under judgement."""
    _told: dict[int, tuple[Send, ...]] = field(default_factory=dict, repr=False)
    """By dealer, the right complaint that this member made or passed on."""

    def __len__(self) -> int:
        return len(self._first)

    def wrong_deal(self, dealer: int, deal: Deal) -> str | None:
        """Say why a dealing is none of this round."""
        if deal.base != self.terms.base:
            return "dealt an update of another base model"
        return self.scheme.wrong_deal(self.terms, dealer, deal)

    def on_complaint(self, complaint: Verified, blob: bytes | None) -> None:
        """A holder says that a dealer cheated, and shows how to open its box: judge."""
        message = complaint.message
        assert isinstance(message, Complaint)
        holder = self.committee.index(complaint.sender)
        if holder is not None and (holder in self._false_accusers or not self._is_first(holder, message)):
            return
        deal = verify(message.deal, self.out.federation)
        if holder is None or isinstance(deal, Rejected) or not isinstance(deal.message, Deal):
            self.out.fault(complaint.sender, f"round {self.round}: a complaint without a dealing")
            return
        dealer = self.committee.index(deal.sender)
        if dealer is None or dealer != message.dealer or holder == dealer or deal.message.round != self.round:
            return
        if self.wrong_deal(dealer, deal.message) is not None or message.box != deal.message.boxes[holder]:
            return
        size = self.scheme.blob_bytes(self.terms, dealer, holder, deal.message)
        if not size:
            return
        self._first[(holder, dealer)] = complaint
        if blob is None:
            self.out.fetch(Fetch(complaint.sender, message.box, size, complaint))
            return
        if len(blob) != size:
            self.out.fault(complaint.sender, f"round {self.round}: a complaint about {len(blob)} bytes, not {size}")
            return
        self._judging.add((holder, dealer))
        self._boxes[(holder, dealer)] = blob
        self.out.work(self.scheme.judge_complaint(self.terms, dealer, holder, deal.message, message, blob))

    def _is_first(self, holder: int, complaint: Complaint) -> bool:
        """Whether this is, or repeats, the first complaint about this dealer, and has not come with its proof yet."""
        first = self._first.get((holder, complaint.dealer))
        return first is None or (first.message == complaint and (holder, complaint.dealer) not in self._judging)

    def on_judged(self, dealer: int, holder: int, judged: CheckedShare) -> bytes | None:
        """Name the dealer if the complaint is right, else the holder.

        Returns the complaint if it is right.
        """
        box = self._boxes.pop((holder, dealer), b"")
        if judged.wrong is None:
            accuser = self.committee.members[holder]
            self._false_accusers.add(holder)
            self.out.fault(accuser, f"round {self.round}: a false complaint", round=self.round)
            return None
        text = f"round {self.round}: dealt a bad share, as a holder proved"
        self.out.fault(self.committee.members[dealer], text, round=self.round, dealing=True)
        complaint = self._first[(holder, dealer)]
        self._pass_on(dealer, holder, complaint, box)
        return complaint.raw

    def _pass_on(self, dealer: int, holder: int, complaint: Verified, box: bytes) -> None:
        """Show a right complaint to all, once a dealer: its author may have shown it to some only.

        These would leave the dealer out of the round, and the others would not. The box comes along by itself, too, for
        its author may not give it to those that have to fetch it.
        """
        message = complaint.message
        assert isinstance(message, Complaint)
        deal = verify(message.deal, self.out.federation)
        if dealer in self._told or not isinstance(deal, Verified) or not isinstance(deal.message, Deal):
            return
        is_small = len(box) <= INLINE_BLOB_BYTES
        told = [Send(None, complaint.raw, box if is_small else None)]
        if not is_small:
            dealing = dealing_id(self.terms.federation, deal.sender, deal.message)
            handed = self.out.seal(HandBox(self.round, dealer, dealing, holder, message.box))
            told.append(Send(None, handed, box))
        self._told[dealer] = tuple(told)
        self._tell(dealer, None)

    def complain(self, dealer: int, complaint: bytes, box: bytes) -> None:
        """Tell all of this member's own complaint."""
        self._told[dealer] = (Send(None, complaint, box),)
        self._tell(dealer, None)

    def resend(self, to: bytes | None) -> None:
        """Repeat the right complaints: whoever has missed them takes their dealers in, and the others do not."""
        for dealer in self._told:
            self._tell(dealer, to)

    def _tell(self, dealer: int, to: bytes | None) -> None:
        for send in self._told[dealer]:
            self.out.send(to, send.envelope, send.blob)

    def on_box(self, handed: Verified, blob: bytes | None) -> bool:
        """Take the box of a complaint from a member that passed it on. Returns whether it is one."""
        message = handed.message
        assert isinstance(message, HandBox)
        key = (message.holder, message.dealer)
        complaint = self._first.get(key)
        if complaint is None or key in self._judging or not isinstance(complaint.message, Complaint):
            return False
        if complaint.message.box != message.box:
            return False
        if blob is not None:
            self.on_complaint(complaint, blob)
            return True
        deal = verify(complaint.message.deal, self.out.federation)
        assert isinstance(deal, Verified)
        assert isinstance(deal.message, Deal)
        size = self.scheme.blob_bytes(self.terms, message.dealer, message.holder, deal.message)
        self.out.fetch(Fetch(handed.sender, message.box, size, handed))
        return True
