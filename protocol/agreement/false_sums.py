"""False fingerprints (z's) of members for a block about a sum, as the z's of the others prove them.

A z depends on W alone. So the z's of all views count together, also those of late votes and of votes that others passed
on. The first z of each member is judged together with those of the others. Once K+f lie on one polynomial, every
further z is compared with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ..ledger.blocks import Evict
from ..messages.envelope import Verified
from ..messages.kinds import Prevote
from ..round.summing import Summing

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
    """Senders of false z's for which evictions were given out."""
    judged: int = 0
    """Of how many members the z's were judged last, in vain: so many prove no more the next time."""


@dataclass(slots=True)
class FalseSums:
    """The z's of one height, by the block that they are for."""

    _said: dict[bytes, _Said] = field(default_factory=dict)
    _blocks: dict[bytes, list[bytes]] = field(default_factory=dict)
    """By sender, the blocks for which its votes are kept, the oldest first."""

    def hear(self, vote: Verified) -> None:
        """Take a prevote, if it has a z that its sender did not send before for the same block."""
        assert isinstance(vote.message, Prevote)
        block, z = vote.message.block, vote.message.z
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

    def found(self, summing: Summing, block: bytes) -> list[Verified]:
        """Return the votes for a known block that were found false only now, one for each sender."""
        said = self._said.get(block)
        if said is None or not said.unsorted or not self._is_settled(summing, block, said):
            return []
        before = set(said.false)
        for one in _sent_by_holders(summing, said.unsorted):
            (said.straight if summing.is_in_line(one) else said.false).setdefault(one.sender, one)
        said.unsorted = []
        return [one for sender, one in said.false.items() if sender not in before]

    def proofs(self, summing: Summing, block: bytes) -> Iterator[Evict]:
        """Yield the evictions for false z's that can be proved now and could not be proved before.

        K+f others have to agree without the liar, since it may have given a true z as well.
        """
        said = self._said.get(block, _Said())
        for sender, lie in said.false.items():
            others = [one.raw for member, one in said.straight.items() if member != sender]
            if sender not in said.proved and len(others) >= summing.committee.sum_quorum:
                said.proved.add(sender)
                yield Evict(sender, "wrong-sum", (*others[: summing.committee.sum_quorum], lie.raw))

    @staticmethod
    def _is_settled(summing: Summing, block: bytes, said: _Said) -> bool:
        """Whether K+f z's lie on one polynomial; judged again only once more members have sent a z."""
        if summing.has_settled(block):
            return True
        first = {one.sender: one for one in _sent_by_holders(summing, (votes[0] for votes in said.votes.values()))}
        if len(first) < max(summing.committee.sum_quorum, said.judged + 1):
            return False
        said.judged, judged = len(first), summing.judge(first)
        if judged is not None:
            summing.settle(block, judged)
        return judged is not None


def _sent_by_holders(summing: Summing, votes: Iterable[Verified]) -> Iterator[Verified]:
    """Yield the votes of members whose sum share may count."""
    for one in votes:
        index = summing.committee.index(one.sender)
        if index is not None and summing.may_send(index):
            yield one
