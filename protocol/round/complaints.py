"""Complaints of holders about dealings: a box with the secret that opens it, judged by every member in the same way.

A right complaint leaves its dealer out of the round. All members must come to know it, since otherwise some would leave
the dealer out and others would not. So a member that finds a complaint right repeats it under its own name.
"""

from dataclasses import dataclass, field

from ..effects import Effects
from ..events import Fetch, Send
from ..ledger.committee import Committee
from ..messages.encoding import digest_of
from ..messages.envelope import Rejected, Verified, verify
from ..messages.kinds import Complaint, Deal, UpheldComplaint
from ..schemes import Scheme
from ..schemes.base import CheckedShare, Terms


@dataclass(slots=True)
class Complaints:
    """The complaints of one round, as they come in at one member."""

    out: Effects
    round: int
    committee: Committee
    scheme: Scheme
    terms: Terms
    _first: dict[tuple[int, int], Verified] = field(default_factory=dict)
    """By speaker and dealer, what the speaker said first, a complaint of its own or one that it upholds. Nothing else
    of it about this dealer is judged.
    """
    _judging: set[tuple[int, int]] = field(default_factory=set)
    """Speaker and dealer of those that are under judgement or judged."""
    _false_accusers: set[int] = field(default_factory=set)
    """Members that brought a false complaint: nothing more is fetched and judged for them in this round."""
    _waiting: dict[tuple[int, int], list[tuple[int, Verified, bytes]]] = field(default_factory=dict, repr=False)
    """By dealer and holder, the complaints to judge, each with its speaker and the box. The first one is under
    judgement. They are judged one after the other, since the complaints of a liar about one dealer may differ.
    """
    _told: dict[int, Send] = field(default_factory=dict, repr=False)
    """By dealer, the right complaint that this member made or upholds."""

    def __len__(self) -> int:
        return len(self._first)

    def wrong_deal(self, dealer: int, deal: Deal) -> str | None:
        """Say why a dealing does not fit this round; None if it does."""
        if deal.base_hash != self.terms.base_hash:
            return "dealt an update of another base model"
        return self.scheme.wrong_deal(self.terms, dealer, deal)

    def on_complaint(self, said: Verified, blob: bytes | None) -> None:
        """Take a complaint, of a holder or of a member that upholds it: fetch the box, then have it judged."""
        speaker = self.committee.index(said.sender)
        message = said.message
        assert isinstance(message, Complaint | UpheldComplaint)
        if isinstance(message, UpheldComplaint) and message.dealer in self._told:
            return
        if speaker is not None and (speaker in self._false_accusers or not self._is_first(speaker, said)):
            return
        complaint = said if isinstance(message, Complaint) else verify(message.complaint, self.out.federation)
        size = self._box_bytes(complaint, message.dealer, message.box_hash) if speaker is not None else None
        if speaker is None or size is None or isinstance(complaint, Rejected):
            self.out.fault(said.sender, f"round {self.round}: a complaint without a dealing")
            return
        if not size:
            return
        self._first[(speaker, message.dealer)] = said
        if blob is None:
            self.out.fetch(Fetch(said.sender, message.box_hash, size, said))
        elif len(blob) != size:
            self.out.fault(said.sender, f"round {self.round}: a complaint about {len(blob)} bytes, not {size}")
        else:
            self._judging.add((speaker, message.dealer))
            self._judge(speaker, complaint, blob)

    def on_fetch_failed(self, said: Verified) -> None:
        """The box of a complaint could not be fetched: forget it, so that its speaker may complain again."""
        speaker = self.committee.index(said.sender)
        assert isinstance(said.message, Complaint | UpheldComplaint)
        key = speaker if speaker is not None else -1, said.message.dealer
        first = self._first.get(key)
        if first is not None and first.raw == said.raw:
            del self._first[key]

    def _is_first(self, speaker: int, said: Verified) -> bool:
        """Whether the speaker said nothing else of this dealer before, and the box has not come yet."""
        assert isinstance(said.message, Complaint | UpheldComplaint)
        key = speaker, said.message.dealer
        first = self._first.get(key)
        return first is None or (first.message == said.message and key not in self._judging)

    def _box_bytes(self, complaint: Verified | Rejected, dealer: int, box: bytes) -> int | None:
        """Return the size of the box: 0 if the complaint does not fit this round, None if it is malformed."""
        if isinstance(complaint, Rejected) or not isinstance(complaint.message, Complaint):
            return None
        message, holder = complaint.message, self.committee.index(complaint.sender)
        deal = verify(message.deal, self.out.federation)
        if holder is None or isinstance(deal, Rejected) or not isinstance(deal.message, Deal):
            return None
        if (message.round, message.dealer, message.box_hash) != (self.round, dealer, box) or holder == dealer:
            return 0
        if self.committee.index(deal.sender) != dealer or deal.message.round != self.round:
            return 0
        if self.wrong_deal(dealer, deal.message) is not None or box != deal.message.box_hashes[holder]:
            return 0
        return self.scheme.blob_bytes(self.terms, dealer, holder, deal.message)

    def _judge(self, speaker: int, complaint: Verified, box: bytes) -> None:
        """Have a complaint judged, after those about the same dealer and holder that came before it."""
        holder = self.committee.index(complaint.sender)
        assert isinstance(complaint.message, Complaint)
        assert holder is not None
        waiting = self._waiting.setdefault((complaint.message.dealer, holder), [])
        waiting.append((speaker, complaint, box))
        if len(waiting) == 1:
            self._judge_next(complaint.message.dealer, holder)

    def _judge_next(self, dealer: int, holder: int) -> None:
        waiting = self._waiting.get((dealer, holder))
        if not waiting:
            return
        _, complaint, box = waiting[0]
        assert isinstance(complaint.message, Complaint)
        deal = verify(complaint.message.deal, self.out.federation)
        assert isinstance(deal, Verified)
        assert isinstance(deal.message, Deal)
        self.out.work(self.scheme.judge_complaint(self.terms, dealer, holder, deal.message, complaint.message, box))

    def on_judged(self, dealer: int, holder: int, judged: CheckedShare | None) -> bytes | None:
        """Take the verdict on a complaint: name the dealer if it is right, otherwise the member that brought it.

        ``judged`` is None if the complaint could not be judged here; then nobody is named. Returns the complaint if it
        is right.
        """
        waiting = self._waiting.get((dealer, holder))
        if not waiting:
            return None
        speaker, complaint, box = waiting.pop(0)
        if judged is None or judged.wrong is None:
            if judged is not None:
                self._false_accusers.add(speaker)
                accuser = self.committee.members[speaker]
                self.out.fault(accuser, f"round {self.round}: a false complaint", round=self.round)
            self._judge_next(dealer, holder)
            return None
        del self._waiting[(dealer, holder)]
        text = f"round {self.round}: dealt a bad share, as a holder proved"
        self.out.fault(self.committee.members[dealer], text, round=self.round, dealing=True)
        self._pass_on(dealer, complaint, box)
        return complaint.raw

    def _pass_on(self, dealer: int, complaint: Verified, box: bytes) -> None:
        """Uphold a right complaint before all members, once for each dealer.

        Its author may have shown it, or its box, to some members only. These would leave the dealer out of the round,
        and the others would not.
        """
        if dealer not in self._told:
            upheld = UpheldComplaint(self.round, dealer, digest_of(box), complaint.raw)
            self._told[dealer] = Send(None, self.out.seal(upheld), box)
            self._tell(dealer, None)

    def complain(self, dealer: int, complaint: bytes, box: bytes) -> None:
        """Send this member's own complaint to all."""
        self._told[dealer] = Send(None, complaint, box)
        self._tell(dealer, None)

    def resend(self, to: bytes | None) -> None:
        """Repeat the right complaints: a member that missed one would take in a dealer that the others leave out."""
        for dealer in self._told:
            self._tell(dealer, to)

    def _tell(self, dealer: int, to: bytes | None) -> None:
        if self.committee.index(self.out.me) is None:  # a newcomer sees the round, but has no say in it
            return
        self.out.send(to, self._told[dealer].envelope, self._told[dealer].blob)
