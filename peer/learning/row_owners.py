"""Over whose test rows a figure is: of how many members, and which members of the round were away."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...protocol.events import Notice, NoticeKind
from ...protocol.ledger.blocks import Contributors, Model, read_block
from ...protocol.ledger.state import LedgerState, apply
from ...protocol.messages.kinds import CertifiedBlock
from ...protocol.records import BlockDecided
from ..member_names import in_words, told_names

Read = Callable[[int], Iterable[CertifiedBlock]]
"""Returns blocks from a height on: any number of them, and none only if there are none."""


@dataclass(frozen=True, slots=True)
class RowOwners:
    """Over whose test rows a figure is."""

    rows: int
    """The approximate number of rows: each member's number is rounded down by up to 5 % before it is added up."""
    members: int | None
    """The number of members whose sums were added up; None if that is not known."""
    away: Sequence[str] = ()
    """Names of the members of the round that were not among them."""

    def text(self) -> str:
        """Return it in words."""
        of = "" if self.members is None else f" of {self.members} members"
        return f"over about {self.rows} test rows{of}" + (
            f", without {', '.join(map(in_words, self.away))}" if self.away else ""
        )

    def json(self) -> dict[str, Any]:
        """Return it as facts for scripts."""
        return asdict(self)


def whose_sum(state: LedgerState, rows: int) -> RowOwners:
    """Return over whose test rows a sum is. ``state``: the one before the block with its result."""
    assert state.contributors is not None
    names, present = told_names(state), {index for index, _ in state.contributors.dealers}
    away = [key for index, key in enumerate(state.committee.members) if index not in present]
    return RowOwners(rows, len(present), [names[key] for key in away if key in names])


class LastSum:
    """Knows how many members contributed to the last result in a ledger, also while the ledger grows."""

    def __init__(self, state: LedgerState, blocks: Sequence[BlockDecided], read: Read = lambda _: ()) -> None:
        """Begin with a state of the ledger.

        Args:
            state: the state.
            blocks: the blocks that led to it, or the newest of them.
            read: returns blocks from a height on.
        """
        self._open = None if state.contributors is None else len(state.contributors.dealers)
        self._open_round = state.round
        self.members = _last_contributors(blocks)
        self._results = _results(state)
        self._read = read
        self._reached = state
        self._ahead: list[bytes] = []
        """Blocks that were read and follow the state reached so far; the next one is the last of the list."""

    def on_notice(self, notice: Notice) -> None:
        """Take note of a decision."""
        if notice.kind == NoticeKind.CONTRIBUTORS:
            self._open, self._open_round = len(notice.facts["members"]), notice.facts.get("round", -1)
        elif notice.kind == NoticeKind.MODEL:
            self.members = self._open
            self._results += 1

    def current(self, state: LedgerState, rows: int) -> RowOwners:
        """Return over whose test rows the last result of this state is, even if its notice has not come yet."""
        found = self.whose(state, rows)
        if self._results == _results(state):
            return found
        return replace(found, members=self._open if self._open_round == state.round - 1 else None)

    def whose(self, state: LedgerState, rows: int) -> RowOwners:
        """Return over whose test rows the last result is, from any state between it and the next result.

        Until then, the state counts results as missed for those members that were away.
        """
        names = told_names(state)
        return RowOwners(rows, self.members, [names[one.key] for one in state.members if one.missed])

    def told(self, state: LedgerState, facts: Mapping[str, Any]) -> RowOwners:
        """Return over whose test rows a result is whose notice has just come, with these ``facts``.

        While this peer catches up, ``state`` may be later than the result. Then the blocks are replayed up to the
        state that says which members were away. If they cannot be read, that is not known.
        """
        if state.settled is not None and state.settled.height == facts["height"]:
            self._reached, self._ahead = state, []
            return self.whose(state, facts["evaluated"])
        then = self._at(facts["height"])
        return RowOwners(facts["evaluated"], self.members) if then is None else self.whose(then, facts["evaluated"])

    def _at(self, height: int) -> LedgerState | None:
        while self._reached.height < height:
            if not self._ahead:
                self._ahead = [one.block for one in self._read(self._reached.height + 1)][::-1]
            if not self._ahead:
                return None
            self._reached = apply(self._reached, self._ahead.pop())
        return self._reached if self._reached.height == height else None


def _results(state: LedgerState) -> int:
    """Return the number of results so far, up to a constant, since totals may be older than the federation.

    A result is a trained round, the totals of the setup round, or an evaluation.
    """
    return state.trained + (state.totals is not None) + len(state.evaluated)


def _last_contributors(blocks: Sequence[BlockDecided]) -> int | None:
    """Return how many members contributed to the last result; None if the blocks hold no result."""
    is_next = False
    for one in reversed(blocks):
        body = read_block(one.block).body
        if is_next and isinstance(body, Contributors):
            return len(body.dealers)
        is_next = is_next or isinstance(body, Model)
    return None
