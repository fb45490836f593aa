"""The second half of a round: holders release their sums for the decided contributors, and W is opened and
checked.

Ends when the ledger decides the :class:`.blocks.Model` or that the round is void. Every honest proposer
arrives at the same Model block, because it follows from W and W from the contributor set.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from .blocks import Contributors, Model, wide_bytes
from .committee import Committee
from .envelope import Verified
from .events import Fetch
from .evidence import Judgement, Point
from .limits import MAX_CHECKED_VECTORS, SUM_GRACE_MS
from .messages import Prevote, SumShare
from .outbox import Outbox
from .records import Released
from .schemes import Choice, Scheme
from .schemes.base import Opened, Terms
from .work import CheckedVector, CheckVector, SumShares


@dataclass(slots=True)
class Summing:
    """One member's sum phase of one round."""

    out: Outbox
    body: Contributors
    committee: Committee
    scheme: Scheme
    terms: Terms
    clip: float
    examples_ref: int
    base: bytes | None = field(repr=False)
    """The weights of the base model; None for a member that has not got them and can only watch."""
    checked: dict[bytes, CheckedVector | None] = field(default_factory=dict)
    """What follows from each W that was checked, by its digest; None while being checked."""
    own_sum: bytes | None = field(default=None, repr=False)
    _own_digest: bytes = b""
    _announced: dict[int, bytes] = field(default_factory=dict)
    """The digest of each holder's sum share. It follows from the shares that it acked, also after a restart."""
    _rows: dict[int, bytes] = field(default_factory=dict)
    _tried: int = 0
    _opening: bool = False
    _adding_up: bool = False
    _released: bool = False
    _opened: bytes | None = None
    _deferred: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    _proofs: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    """The prevotes that proved W, by its digest: there is only one."""
    _judged: tuple[frozenset[tuple[int, Point]], Judgement | None] = (frozenset(), None)
    """The last answer of ``judge``: two parts of a step ask for the same votes."""
    _settled: dict[bytes, Judgement] = field(default_factory=dict)
    """What K+f prevotes for a Model block agree on, by its hash. K of them are honest, so there is one such block."""

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
        """Indices of the members that owe a sum share."""
        return self.scheme.senders(self.choice)

    # One's own sum.

    def release(self, own_vector: bytes | None, held: Mapping[int, bytes], released: bytes | None) -> None:
        """Add up one's shares of U.

        Safety rule 1: only for a decided U, and never for a second one in a round.
        """
        index = self.committee.index(self.out.me)
        if index is None or index not in self.expected or self._adding_up or self.own_sum is not None:
            return
        if released is not None and released != self.body.digest():
            self.out.notify(
                "fault",
                f"round {self.round}: a sum for another contributor set was released before",
                member=None,
            )
            return
        rows = self.scheme.own_row(self.terms, self.choice, own_vector, held)
        if rows:
            self._adding_up = True
            self.out.work(SumShares(self.round, self.body.digest(), rows))

    def on_summed(self, data: bytes, digest: bytes, aggregator: bytes) -> None:
        """One's sum is ready: write down that it is released, then send it."""
        self.own_sum, self._own_digest = data, digest
        self.out.persist(Released(self.round, self.body.digest()))
        self._adding_up, self._released = False, True
        self.send_sum(aggregator)
        for vector_hash, checked in list(self.checked.items()):
            if checked is not None and checked.own is None:  # checked before one's own share was there again
                del self.checked[vector_hash]
                self._deferred[vector_hash] = checked.vector
        self._check_deferred()

    def on_unsummed(self, reason: str) -> None:
        """One's shares could not be added up here: go on without a sum of one's own."""
        self._adding_up = False
        self.out.notify("work", f"round {self.round}: the shares could not be added up: {reason}", round=self.round)
        self._check_deferred()

    def _check_deferred(self) -> None:
        deferred, self._deferred = self._deferred, {}
        for vector_hash, vector in deferred.items():
            self.check(vector_hash, vector)

    def send_sum(self, aggregator: bytes) -> None:
        """Send one's sum to this view's aggregator; to oneself, keep it."""
        if self.own_sum is None or not self._released:
            return
        if aggregator == self.out.me:
            index = self.committee.index(self.out.me)
            assert index is not None
            self._rows[index] = self.own_sum
            return
        self.out.send(aggregator, SumShare(self.round, self.body.digest(), self._own_digest), self.own_sum)

    def missing(self) -> tuple[int, ...]:
        """Return the members whose sum share this member, as aggregator, did not get: named when the round is
        void.
        """
        return tuple(index for index in self.expected if index not in self._rows)

    def doubtful(self) -> tuple[int, ...]:
        """Return the holders that may be why the sum failed: those that sent no sum share where others did to this
        member, and all but itself where that does not tell.
        """
        me = self.committee.index(self.out.me)
        others = tuple(index for index in self.expected if index != me)
        silent = tuple(index for index in others if index not in self._rows)
        return silent if silent and len(silent) < len(others) else others

    def close(self) -> None:
        """The round is decided: keep what judges late prevotes, let go of the vectors."""
        self._rows.clear()
        self._deferred.clear()
        self.checked.clear()
        self.base = self.own_sum = None
        self._released = False

    # The aggregator.

    def on_sum_share(self, share: Verified, blob: bytes | None) -> None:
        """A holder's sum."""
        message = share.message
        assert isinstance(message, SumShare)
        index = self.committee.index(share.sender)
        if index is None or index not in self.expected:
            return
        if message.contributors != self.body.digest():
            self.out.fault(share.sender, f"round {self.round}: a sum over another contributor set")
            return
        if self._announced.setdefault(index, message.shares) != message.shares:
            self.out.fault(share.sender, f"round {self.round}: sent two different sums", round=self.round)
            return
        if index in self._rows:
            return
        size = 8 * self.terms.layout.columns
        if blob is None:
            self.out.fetch(Fetch(share.sender, message.shares, size, share))
        elif len(blob) == size:
            self._rows[index] = blob
        else:
            self.out.fault(share.sender, f"round {self.round}: a sum share of {len(blob)} bytes, not {size}")

    def try_open(self, alive: frozenset[bytes], height: int, view: int, after_grace: bool = False) -> None:
        """As aggregator: open the sum once everybody alive has sent, or enough have and the grace time is
        over.
        """
        count = len(self._rows)
        if self._opened or self._opening or count < self.scheme.minimum(self.choice) or count <= self._tried:
            return
        waiting = [j for j in self.expected if j not in self._rows and self.committee.members[j] in alive]
        if waiting and not after_grace:
            self.out.timer(SUM_GRACE_MS, "grace", height, view)
            return
        self._tried, self._opening = count, True
        self.out.work(self.scheme.open(self.terms, self.choice, self._rows))

    def on_opened(self, opened: Opened | None) -> None:
        """W is open, or too few sum shares agree so far."""
        self._opening = False
        if opened is None:
            return
        for index in opened.liars:
            text = f"round {self.round}: a wrong sum share, found when the sum was opened"
            self.out.fault(self.committee.members[index], text, round=self.round, wrong_sum=True)
        self._opened = opened.digest
        self.check(opened.digest, opened.vector)

    # Checking W.

    def challenge(self, vector_hash: bytes) -> bytes:
        """Return kappa: it depends on the value alone, not on the view (DESIGN section 6)."""
        bound = self.out.federation + self.round.to_bytes(8, "big") + self.body.digest() + vector_hash
        return hashlib.sha256(b"coterie/kappa\x00" + bound).digest()

    def check(self, vector_hash: bytes, vector: bytes) -> bool:
        """Start deriving what W says. Returns False where this member cannot."""
        if self.base is None:
            return False
        if self._adding_up:  # one's z is part of the answer
            self._deferred[vector_hash] = vector
        elif vector_hash not in self.checked:
            self._make_room()
            self.checked[vector_hash] = None
            self.out.work(
                CheckVector(
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
                )
            )
        return True

    def _make_room(self) -> None:
        """Keep the vectors that a row of lying proposers can make us hold within a bound."""
        for vector_hash in list(self.checked):
            if len(self.checked) < MAX_CHECKED_VECTORS:
                return
            if vector_hash != self._opened:
                del self.checked[vector_hash]

    def on_checked(self, checked: CheckedVector) -> None:
        """Keep what was derived."""
        if checked.vector_hash in self.checked:
            self.checked[checked.vector_hash] = checked

    def on_check_failed(self, vector_hash: bytes) -> None:
        """W is no sum of encodings: nobody honest votes for it."""
        self.checked.pop(vector_hash, None)

    def model(self) -> tuple[Model, bytes] | None:
        """Return the Model body and W, if it was opened here: what this member proposes."""
        checked = self.checked.get(self._opened or b"")
        return (self.model_of(checked), checked.vector) if checked is not None else None

    def model_of(self, checked: CheckedVector) -> Model:
        """Return the one Model body that a sum vector leads to."""
        return Model(
            self.round,
            checked.vector_hash,
            tuple(wide_bytes(one) for one in checked.sums),
            checked.weights_hash,
            checked.beacon,
        )

    def judge(self, votes: Mapping[bytes, Verified]) -> Judgement | None:
        """Judge the z's of prevotes for one Model block; None while they prove nothing."""
        points = {}
        for sender, vote in votes.items():
            index = self.committee.index(sender)
            if index is not None and isinstance(vote.message, Prevote) and vote.message.z is not None:
                points[index] = vote.message.z
        key = frozenset(points.items())
        if key != self._judged[0]:
            self._judged = key, self.scheme.judge(self.choice, points)
        return self._judged[1]

    def is_in_line(self, vote: Verified) -> bool:
        """Whether a prevote for a Model block agrees with what its block's earlier prevotes have proved.

        The most do. They are told apart by one value of a polynomial, where judging the whole set anew after each
        of n votes would take n^3 multiplications.
        """
        assert isinstance(vote.message, Prevote)
        settled = self._settled.get(vote.message.block or b"")
        index = self.committee.index(vote.sender)
        if settled is None or index is None:
            return False
        return vote.message.z is None or index not in self.expected or settled.fits(index, vote.message.z)

    def settle(self, block: bytes, judged: Judgement) -> None:
        """Keep what a block's prevotes proved."""
        self._settled[block] = judged

    def proves(self, vector_hash: bytes, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes prove W: enough z's on one polynomial whose secret is <kappa, W>.

        Once proved it stays so, whoever votes for it again: kappa does not depend on the view. Else a holder that
        gave its z once, so that somebody locked W, and never again, would keep the others from ever joining in.
        """
        if vector_hash not in self._proofs:
            checked = self.checked.get(vector_hash)
            judged = self.judge(votes)
            if checked is not None and judged is not None and judged.secret == checked.secret:
                self._proofs[vector_hash] = tuple(vote.raw for vote in votes.values())
        return vector_hash in self._proofs

    def proof(self, vector_hash: bytes) -> tuple[bytes, ...]:
        """Return the prevotes that proved W here; none if it was not proved."""
        return self._proofs.get(vector_hash, ())
