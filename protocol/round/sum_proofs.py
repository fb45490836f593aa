"""The proof of an open sum W: the z's of prevotes, what they prove, and which of them are lies.

A prevote for a block about a sum carries z, the fingerprint of its sender's own sum share. K+f z's on one polynomial
prove W, and convict every member whose z is off that polynomial. A z depends on W alone, not on the view. So the z's
of all views count together, also those of late votes and of votes that others passed on.

One :class:`SumProofs` lives as long as its :class:`.summing.Summing`. The sum knows what follows from a checked W;
:mod:`..agreement.sum_votes` brings the prevotes, and acts on what is found. Two rules of docs/protocol.md rest on it:

* A polka for a block about a sum must prove W ("Agreement", rule 2 of those beyond the paper): :meth:`SumProofs.proves`
  for one set of prevotes, :meth:`SumProofs.sets_for` for the sets to try, :meth:`SumProofs.proof` for what is shown to
  others.
* Evidence convicts its author only (safety rule 11): :meth:`SumProofs.found` for a lie once K+f z's agree on something
  else, :meth:`SumProofs.prove_lies` for an eviction once K+f others do.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..jobs import CheckedVector
from ..ledger.blocks import Evict
from ..ledger.committee import Committee
from ..ledger.evidence import Judgement, Point
from ..messages.envelope import Verified
from ..messages.kinds import Prevote
from ..schemes import Choice, Scheme

_KEPT_ZS: Final = 2
"""Different z's kept of each member for one block: of two that differ, one is false."""
_KEPT_BLOCKS: Final = 4
"""Blocks for which votes of each member are kept, the latest ones: a block may come later than a vote for it."""


@dataclass(slots=True)
class _Said:
    """The votes for one block, and what was found of them."""

    votes: dict[bytes, list[Verified]] = field(default_factory=dict)
    """By sender, in the order in which they came."""
    unsorted: list[Verified] = field(default_factory=list)
    """Those that were not compared with the polynomial yet."""
    straight: dict[bytes, Verified] = field(default_factory=dict)
    """By sender, a vote whose z lies on the polynomial."""
    false: dict[bytes, Verified] = field(default_factory=dict)
    """By sender, a vote whose z does not."""
    proved: set[bytes] = field(default_factory=set)
    """Senders of false z's for which evictions were made."""
    judged: int = 0
    """Of how many members the z's were judged last, in vain: so many prove no more the next time."""


@dataclass(slots=True)
class SumProofs:
    """The prevotes for the blocks about one open sum, and what they prove."""

    committee: Committee
    scheme: Scheme
    choice: Choice
    proved: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    """By digest, the prevotes that proved a W; only one W can be proved."""
    brought: dict[bytes, list[Verified]] = field(default_factory=dict)
    """By block, the prevotes that came with its latest proposal, or from the disk: they may prove its W."""
    _judged: tuple[frozenset[tuple[int, Point]], Judgement | None] = (frozenset(), None)
    """The last answer of ``judge``, kept because two parts of a step ask about the same votes."""
    _said: dict[bytes, _Said] = field(default_factory=dict)
    """By block, the votes with a z for it."""
    _settled: dict[bytes, Judgement] = field(default_factory=dict)
    """By block, what K+f of its prevotes agree on. K of them are honest, so there is one such block."""
    _blocks: dict[bytes, list[bytes]] = field(default_factory=dict)
    """By sender, the blocks for which its votes are kept, the oldest first."""
    _evictions: dict[bytes, list[Evict]] = field(default_factory=dict)
    """By block, the evictions of members that sent a false z in a prevote for it."""

    # What proves W.

    def judge(self, votes: Mapping[bytes, Verified]) -> Judgement | None:
        """Judge the z's of prevotes for one block about a sum; None while they prove nothing."""
        points = {}
        for sender, vote in votes.items():
            index = self._holder(sender)
            if index is None or not isinstance(vote.message, Prevote):
                continue
            if vote.message.z is not None:
                points[index] = vote.message.z
        key = frozenset(points.items())
        if key != self._judged[0]:
            self._judged = key, self.scheme.judge(self.choice, points)
        return self._judged[1]

    def proves(self, vector_hash: bytes, checked: CheckedVector | None, votes: Mapping[bytes, Verified]) -> bool:
        """Whether these prevotes prove W: enough z's lie on one polynomial, and its secret is <kappa, W>.

        Once proved, W stays proved, whichever members vote for it again: kappa does not depend on the view. Otherwise a
        holder that gave its z once, so that some member locked W, and never again would keep the others from joining.
        ``checked``: what follows from W here, None if it was not checked.
        """
        if vector_hash not in self.proved:
            judged = self.judge(votes)
            if checked is not None and judged is not None and judged.secret == checked.secret:
                self.proved[vector_hash] = tuple(vote.raw for vote in votes.values())
        return vector_hash in self.proved

    def sets_for(
        self, block: bytes, votes: Mapping[bytes, Verified], heard: Iterable[Mapping[bytes, Verified]]
    ) -> Iterator[Mapping[bytes, Verified]]:
        """Yield the sets of prevotes for a block that may prove its W: ``votes``, then those brought and ``heard``.

        Each set is to be tried by itself, because a liar's false z in one of them must not hide the proof in another.
        """
        yield votes
        yield from self._in_each_view(block)
        yield self._as_brought(block)
        yield self._in_all_views(block, heard)

    def _brought_for(self, block: bytes) -> list[Verified]:
        return [vote for vote in self.brought.get(block, ()) if _is_for(vote, block)]

    def _in_each_view(self, block: bytes) -> list[dict[bytes, Verified]]:
        """Return the brought prevotes for a block, for each view those of each sender."""
        views: dict[int, dict[bytes, Verified]] = {}
        for vote in self._brought_for(block):
            views.setdefault(vote.view, {})[vote.sender] = vote
        return list(views.values())

    def _as_brought(self, block: bytes) -> dict[bytes, Verified]:
        """Return the brought prevotes for a block, the last one of each sender.

        In a proposal the proof stands after the polka. So these are the votes that proved W to the members that are
        locked on it, though they may be of several views. What a liar says here in a later view must not take the place
        of its vote in the proof.
        """
        return {vote.sender: vote for vote in self._brought_for(block)}

    def _in_all_views(self, block: bytes, heard: Iterable[Mapping[bytes, Verified]]) -> dict[bytes, Verified]:
        """Return the prevotes of all views for a block, brought and heard, the last one of each sender.

        A z depends on W alone, not on its view. Where the z of every member is needed, another one may be late in each
        view on a slow network.
        """
        return {sender: vote for votes in (*self._in_each_view(block), *heard) for sender, vote in votes.items()}

    def proof(self, vector_hash: bytes, block: bytes) -> tuple[bytes, ...]:
        """Return the prevotes that proved W here; otherwise those that came with the block that claims it.

        A proposal carries them, and the disk keeps them. Without them, a liar that shows its z once and to some members
        only could let these lock a block while the others never see the proof of it.
        """
        return self.proved.get(vector_hash) or tuple(vote.raw for vote in self.brought.get(block, ()))

    # Which z's are lies.

    def hear(self, vote: Verified) -> None:
        """Take a prevote, if it has a z that its sender did not send before for the same block."""
        assert isinstance(vote.message, Prevote)
        block, z = vote.message.block_hash, vote.message.z
        if block is None or z is None:
            return
        said = self._said.setdefault(block, _Said())
        known = said.votes.setdefault(vote.sender, [])
        if len(known) < _KEPT_ZS and all(isinstance(one.message, Prevote) and one.message.z != z for one in known):
            known.append(vote)
            said.unsorted.append(vote)
            self._remember(vote.sender, block)

    def _remember(self, sender: bytes, block: bytes) -> None:
        blocks = self._blocks.setdefault(sender, [])
        if block in blocks:
            return
        blocks.append(block)
        if len(blocks) > _KEPT_BLOCKS:
            oldest = blocks.pop(0)
            said = self._said[oldest]
            said.votes.pop(sender, None)
            said.unsorted = [one for one in said.unsorted if one.sender != sender]
            if not said.votes:
                del self._said[oldest]

    def found(self, block: bytes) -> list[Verified]:
        """Return the votes for a known block that were found false only now, one for each sender."""
        said = self._said.get(block)
        judged = self._settle(block, said) if said is not None and said.unsorted else None
        if said is None or judged is None:
            return []
        before = set(said.false)
        for vote in said.unsorted:
            index = self._holder(vote.sender)
            if index is not None:
                (said.straight if _fits(judged, index, vote) else said.false).setdefault(vote.sender, vote)
        said.unsorted = []
        return [one for sender, one in said.false.items() if sender not in before]

    def _settle(self, block: bytes, said: _Said) -> Judgement | None:
        """Return what K+f z's on one polynomial prove; they are judged again only once more members have sent a z.

        Further z's are only compared with the result. One value of a polynomial shows a lie; to judge the whole set
        anew after each of n votes would take n^3 multiplications.
        """
        if block not in self._settled:
            votes = (kept[0] for kept in said.votes.values())
            first = {one.sender: one for one in votes if self._holder(one.sender) is not None}
            if len(first) >= max(self.committee.sum_quorum, said.judged + 1):
                said.judged, judged = len(first), self.judge(first)
                if judged is not None:
                    self._settled[block] = judged
        return self._settled.get(block)

    def evictions(self, block: bytes) -> list[Evict]:
        """Return the evictions that false z's for a block prove, for as long as the block is kept.

        K+f others have to agree without the liar, since it may have given a true z as well.
        """
        return self._evictions.get(block, [])

    def prove_lies(self, block: bytes) -> None:
        """Make the evictions that can be proved now and could not be proved before."""
        said, made = self._said.get(block, _Said()), self._evictions.setdefault(block, [])
        for sender, lie in said.false.items():
            others = [one.raw for member, one in said.straight.items() if member != sender]
            if sender not in said.proved and len(others) >= self.committee.sum_quorum:
                said.proved.add(sender)
                made.append(Evict(sender, "wrong-sum", (*others[: self.committee.sum_quorum], lie.raw)))

    def forget(self, block: bytes) -> None:
        """Drop what was brought with a block, and what is proved by votes for it, once the block is not kept."""
        self._evictions.pop(block, None)
        self.brought.pop(block, None)

    def _holder(self, sender: bytes) -> int | None:
        """Return the place of a member whose sum share may count; None for others."""
        index = self.committee.index(sender)
        return index if index is not None and self.scheme.may_send(self.choice, index) else None


def _is_for(vote: Verified, block: bytes) -> bool:
    return isinstance(vote.message, Prevote) and vote.message.block_hash == block


def _fits(judged: Judgement, index: int, vote: Verified) -> bool:
    """Whether a prevote agrees with what earlier prevotes for its block have proved."""
    assert isinstance(vote.message, Prevote)
    return vote.message.z is None or judged.fits(index, vote.message.z)
