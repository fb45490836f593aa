"""The second half of a round: holders release their sums, and W is opened, proposed and checked.

W is the sum of the decided contributors' vectors. The holders send their sums of shares to the aggregator, the proposer
of the view, which opens W from them and proposes the block that follows from it. Every voter derives the block from W
again, and its prevote carries z, the fingerprint of its own sum share. K+f z's on one polynomial prove W.

The half ends when the ledger decides a :class:`..ledger.blocks.Model`, or that the round is void. Every honest proposer
comes to the same block, because the block follows from W, and W from the contributors.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final

from ..effects import Effects
from ..events import Fetch, NoticeKind
from ..jobs import CheckedVector, CheckVector, fingerprint_of
from ..ledger.blocks import Contributors, Model, Void, wide_bytes
from ..ledger.committee import Committee
from ..limits import MAX_CHECKED_VECTORS, PROTOCOL_VERSION, SUM_GRACE_MS
from ..machines import Table
from ..messages.envelope import Verified
from ..messages.kinds import SumShare
from ..records import Released
from ..schemes import Choice, Scheme
from ..schemes.base import Opened, Terms
from ..timers import SumGrace
from .sum_proofs import SumProofs


class OwnSum(Enum):
    """This member's own sum of its shares of U.

    It is made once, after a restart as well::

        lacking   --holds all-------> adding up
        adding up --sum-------------> released
        adding up --failure---------> lacking
        released  --height decided--> lacking
    """

    LACKING = auto()
    """It is not made: shares are missing, or could not be added up."""
    ADDING_UP = auto()
    RELEASED = auto()
    """It is made, and its release is durable."""


class OwnSumInput(Enum):
    """What moves this member's own sum on."""

    HOLDS_ALL = auto()
    SUM = auto()
    FAILURE = auto()
    HEIGHT_DECIDED = auto()


OWN_SUMS: Final = Table(
    {
        (OwnSum.LACKING, OwnSumInput.HOLDS_ALL): OwnSum.ADDING_UP,
        (OwnSum.ADDING_UP, OwnSumInput.SUM): OwnSum.RELEASED,
        (OwnSum.ADDING_UP, OwnSumInput.FAILURE): OwnSum.LACKING,
        (OwnSum.RELEASED, OwnSumInput.HEIGHT_DECIDED): OwnSum.LACKING,
    }
)


class Opening(Enum):
    """Whether this member, as aggregator, has W.

    It tries again once more sum shares have come::

        gathering --enough shares--> trying
        trying    --result---------> opened
        trying    --no result------> gathering
    """

    GATHERING = auto()
    """Too few sum shares have come, or those that have do not agree."""
    TRYING = auto()
    """W is being opened from the sum shares that have come."""
    OPENED = auto()


class OpeningInput(Enum):
    """What moves the opening on."""

    ENOUGH_SHARES = auto()
    RESULT = auto()
    NO_RESULT = auto()


OPENINGS: Final = Table(
    {
        (Opening.GATHERING, OpeningInput.ENOUGH_SHARES): Opening.TRYING,
        (Opening.TRYING, OpeningInput.RESULT): Opening.OPENED,
        (Opening.TRYING, OpeningInput.NO_RESULT): Opening.GATHERING,
    }
)


@dataclass(slots=True)
class Summing:
    """One member's sum phase of one round."""

    out: Effects
    body: Contributors
    committee: Committee
    scheme: Scheme
    terms: Terms
    clip: float
    examples_ref: int
    base: bytes | None = field(repr=False)
    """The weights of the base model; None for a member that does not have them and can only watch."""
    checked: dict[bytes, CheckedVector] = field(default_factory=dict)
    """By the digest of each W that was checked, what follows from it."""
    on_table: bytes = b""
    """The digest of the W that was proposed last, in a view that has come."""
    own_sum: bytes | None = field(default=None, repr=False)
    """This member's sum share."""
    _own_digest: bytes = b""
    _announced: dict[int, bytes] = field(default_factory=dict)
    """By holder, the digest of its sum share, which follows from the shares that it acked, also after a restart."""
    _rows: dict[int, bytes] = field(default_factory=dict)
    """By holder, the sum shares that came to this member as aggregator."""
    _tried: int = 0
    """How many sum shares the last attempt to open had."""
    _opening: Opening = Opening.GATHERING
    _own: OwnSum = OwnSum.LACKING
    _opened: bytes | None = None
    """The digest of the W that was opened here."""
    _running: set[bytes] = field(default_factory=set)
    """Digests of the W's under check; some for the second time, now with this member's own sum."""
    _deferred: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    """By digest, the W's to check once this member's own sum is there, or there is room."""
    proofs: SumProofs = field(init=False)
    """The prevotes for blocks about the sum, and what they prove."""

    def __post_init__(self) -> None:
        self.proofs = SumProofs(self.committee, self.scheme, self.choice)

    @property
    def round(self) -> int:
        """The round's number."""
        return self.body.round

    @property
    def choice(self) -> Choice:
        """U and J as decided."""
        return Choice(self.body.dealers, self.body.holders)

    @property
    def expected(self) -> tuple[int, ...]:
        """Places of the members that owe a sum share."""
        return self.scheme.senders(self.choice)

    def may_send(self, index: int) -> bool:
        """Whether a member's sum share may count; it may also if the member got its boxes after U was decided."""
        return self.scheme.may_send(self.choice, index)

    # This member's own sum.

    def release(self, own_vector: bytes | None, held: Mapping[int, bytes], released: bytes | None) -> None:
        """Start to add up this member's shares of U, if it has all of them.

        Safety rule 1: only for a decided U, and never for a second U in a round. ``released``: the U whose sum was
        released in this round before, if one was.
        """
        index = self.committee.index(self.out.me)
        if index is None or not self.may_send(index) or self._own is not OwnSum.LACKING:
            return
        if released is not None and released != self.body.digest():
            self.out.notify(
                NoticeKind.FAULT,
                f"round {self.round}: a sum for another contributor set was released before",
                member=None,
            )
            return
        rows = self.scheme.own_row(self.terms, self.choice, own_vector, held)
        if rows:
            self._move_own(OwnSumInput.HOLDS_ALL)
            self.out.work(self.scheme.add_up(self.terms, self.body.digest(), rows))

    def on_summed(self, data: bytes, digest: bytes, aggregator: bytes) -> None:
        """Take this member's sum: make its release durable, then send it."""
        self.own_sum, self._own_digest = data, digest
        self.out.persist(Released(self.round, self.body.digest()))
        self._move_own(OwnSumInput.SUM)
        self.send_sum(aggregator)
        self._defer_what_lacks_z()
        self.check_deferred()

    def on_unsummed(self, reason: str) -> None:
        """Note that this member's shares could not be added up: it goes on without a sum of its own."""
        self._defer_what_lacks_z()
        self._move_own(OwnSumInput.FAILURE)
        self.out.notify(
            NoticeKind.WORK, f"round {self.round}: the shares could not be added up: {reason}", round=self.round
        )
        self.check_deferred()

    def send_sum(self, aggregator: bytes) -> None:
        """Send this member's sum to the aggregator of this view, or keep it if that is this member."""
        if self.own_sum is None:
            return
        if aggregator == self.out.me:
            index = self.committee.index(self.out.me)
            assert index is not None
            self._rows[index] = self.own_sum
            return
        self.out.send(aggregator, SumShare(self.round, self.body.digest(), self._own_digest), self.own_sum)

    def missing(self) -> tuple[int, ...]:
        """Return the members whose sum share did not reach this member as aggregator; a void names them."""
        return tuple(index for index in self.expected if index not in self._rows)

    def take_base(self, base: bytes) -> None:
        """Take the base model, which this member lacked when the sum was opened."""
        self.base = base

    def close(self) -> None:
        """Drop the vectors once the height is decided; keep what judges late prevotes."""
        self._rows.clear()
        for vectors in (self._deferred, self._running, self.checked):
            vectors.clear()
        self.base = self.own_sum = None
        self._move_own(OwnSumInput.HEIGHT_DECIDED)

    def _move_own(self, given: OwnSumInput) -> None:
        self._own = OWN_SUMS.after(self._own, given)

    # The aggregator.

    def on_sum_share(self, share: Verified, blob: bytes | None) -> None:
        """Take a holder's sum share, or fetch it; name a holder that announces two different ones."""
        message = share.message
        assert isinstance(message, SumShare)
        index = self.committee.index(share.sender)
        if index is None or not self.may_send(index):
            return
        if message.contributors != self.body.digest():
            self.out.fault(share.sender, f"round {self.round}: a sum over another contributor set")
            return
        if self._announced.setdefault(index, message.shares_hash) != message.shares_hash:
            self.out.fault(share.sender, f"round {self.round}: sent two different sums", round=self.round)
            return
        if index in self._rows:
            return
        size = self.scheme.sum_bytes(self.terms.layout)
        if blob is None:
            self.out.fetch(Fetch(share.sender, message.shares_hash, size, share))
        elif len(blob) == size:
            self._rows[index] = blob
        else:
            self.out.fault(share.sender, f"round {self.round}: a sum share of {len(blob)} bytes, not {size}")

    def try_open(self, alive: frozenset[bytes], height: int, view: int, after_grace: bool = False) -> None:
        """As aggregator, open the sum once all present holders have sent, or enough have and the grace time is over.

        Not without the base model: nothing would follow from W here.
        """
        count = len(self._rows)
        if self.base is None or self._opening is not Opening.GATHERING:
            return
        if count < self.scheme.minimum(self.choice) or count <= self._tried:
            return
        waiting = [j for j in self.expected if j not in self._rows and self.committee.members[j] in alive]
        if waiting and not after_grace:
            self.out.timer(SUM_GRACE_MS, SumGrace(height, view))
            return
        self._tried, self._opening = count, OPENINGS.after(self._opening, OpeningInput.ENOUGH_SHARES)
        self.out.work(self.scheme.open(self.terms, self.choice, self._rows))

    def on_opened(self, opened: Opened | None) -> None:
        """Take W and have it checked; None if too few sum shares agree so far."""
        if opened is None:
            self._opening = OPENINGS.after(self._opening, OpeningInput.NO_RESULT)
            return
        self._opening = OPENINGS.after(self._opening, OpeningInput.RESULT)
        for index in opened.liars:
            text = f"round {self.round}: a wrong sum share, found when the sum was opened"
            self.out.fault(self.committee.members[index], text, round=self.round, wrong_sum=True)
        self._opened = opened.digest
        self.check(opened.digest, opened.vector)

    # Checking W.

    def challenge(self, vector_hash: bytes) -> bytes:
        """Return kappa, H(federation, round, H(U), H(W)): it depends on the value alone, not on the view."""
        bound = self.out.federation + self.round.to_bytes(8, "big") + self.body.digest() + vector_hash
        return hashlib.sha256(b"coterie/kappa/%d\x00" % PROTOCOL_VERSION + bound).digest()

    def check(self, vector_hash: bytes, vector: bytes) -> bool:
        """Have W checked, now or when there is room. Returns False if this member lacks the base model."""
        if self.base is None:
            return False
        if vector_hash not in self._running and self.verdict(vector_hash) is None:
            self._deferred[vector_hash] = vector
            self.check_deferred()
        return True

    def put_on_table(self, vector_hash: bytes) -> None:
        """Note that this W was proposed last, in a view that has come: it is not dropped to make room."""
        self.on_table = vector_hash

    def holds(self, vector_hash: bytes) -> bool:
        """Whether W is here: checked, under check, or waiting for its check."""
        return vector_hash in self.checked or vector_hash in self._running or vector_hash in self._deferred

    def verdict(self, vector_hash: bytes) -> CheckedVector | None:
        """Return what follows from W; None while it is unchecked, or has to be checked again with this member's sum."""
        checked = self.checked.get(vector_hash)
        return None if checked is None or self._lacks_z(checked) else checked

    def _lacks_z(self, checked: CheckedVector) -> bool:
        """Whether W was checked before this member's sum was there again: its prevotes would never carry a z."""
        return checked.own is None and self._own is not OwnSum.LACKING

    def _defer_what_lacks_z(self) -> None:
        for vector_hash, checked in self.checked.items():
            if self._lacks_z(checked) and vector_hash not in self._running:
                self._deferred[vector_hash] = checked.vector

    def check_deferred(self) -> None:
        """Start the checks that there is room for; none while this member's own sum, which z needs, is being added up.

        Call it after a check has ended and its outcome was used: that W may be dropped here to make room.
        """
        needed = self._needed()
        is_blocked = self._own is OwnSum.ADDING_UP
        for vector_hash in [] if is_blocked else sorted(self._deferred, key=lambda one: one not in needed):
            if self._make_room(vector_hash):
                self._running.add(vector_hash)
                self.out.work(self._job(vector_hash, self._deferred.pop(vector_hash)))
        waiting = [vector_hash for vector_hash in self._deferred if vector_hash not in self.checked]
        spare = [vector_hash for vector_hash in waiting if vector_hash not in needed]
        for vector_hash in spare[: max(0, len(waiting) - MAX_CHECKED_VECTORS)]:
            del self._deferred[vector_hash]

    def _needed(self) -> set[bytes]:
        """Return the W's that are never dropped: opened here, to be voted on, or proved by votes.

        Members may be locked on a W that was proved, and show it to the others when they propose it again.
        """
        return {self._opened or b"", self.on_table, *self.proofs.proved}

    def _make_room(self, vector_hash: bytes) -> bool:
        """Make room for one more vector, within the bound on what lying proposers in a row can make a member hold.

        Returns whether it fits. A vector under check stays: its job holds it anyhow, and must find it here at its end.
        """
        needed = self._needed() | self._running | {vector_hash}
        for old in list(self.checked):
            if len(self.checked.keys() | self._running | {vector_hash}) <= MAX_CHECKED_VECTORS:
                break
            if old not in needed:
                del self.checked[old]
        return len(self.checked.keys() | self._running | {vector_hash}) <= MAX_CHECKED_VECTORS

    def _job(self, vector_hash: bytes, vector: bytes) -> CheckVector:
        assert self.base is not None
        place = self.committee.index(self.out.me)
        return CheckVector(
            round=self.round,
            vector_hash=vector_hash,
            vector=vector,
            layout=self.terms.layout,
            contributors=len(self.body.dealers),
            challenge=self.challenge(vector_hash),
            clip=self.clip,
            summands=self.committee.n,
            examples_ref=self.examples_ref,
            base=self.base,
            own_sum=self.own_sum,
            own_fingerprint=fingerprint_of if place is None else partial(self.scheme.fingerprint, place),
        )

    def on_checked(self, checked: CheckedVector) -> None:
        """Keep what was derived from W; derive it again if this member's own sum has come meanwhile, or is coming."""
        vector_hash = checked.vector_hash
        if vector_hash not in self._running:
            return
        self._running.discard(vector_hash)
        self.checked[vector_hash] = checked
        if self._lacks_z(checked):
            self._deferred[vector_hash] = checked.vector

    def on_check_failed(self, vector_hash: bytes) -> None:
        """Note that W is no vector of this round's form: no honest member votes for it."""
        self._running.discard(vector_hash)

    def outcome(self) -> tuple[Model | Void, bytes] | None:
        """Return the block body that this member proposes, and W, if W was opened here and checked; None if not."""
        checked = self.verdict(self._opened or b"")
        return (self.outcome_of(checked), checked.vector) if checked is not None else None

    def outcome_of(self, checked: CheckedVector) -> Model | Void:
        """Return the one body that follows from W: a Model, or a Void if W cannot be a sum of contributions."""
        if checked.wrong is not None:
            return Void(self.round, "encoding", (), checked.vector_hash)
        return Model(
            self.round,
            checked.vector_hash,
            tuple(wide_bytes(one) for one in checked.sums),
            checked.weights_hash,
            checked.beacon,
        )

    def proves(self, vector_hash: bytes, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes prove W, or others did before."""
        return self.proofs.proves(vector_hash, self.checked.get(vector_hash), votes)
