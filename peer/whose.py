"""Over whose test rows a figure is: of how many members, and which of the round were away."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..protocol.blocks import Contributors, Model, read_block
from ..protocol.events import Notice
from ..protocol.ledger import LedgerState, Phase, apply
from ..protocol.messages import CertifiedBlock
from ..protocol.records import BlockDecided
from .naming import in_words, told_names

Read = Callable[[int], Iterable[CertifiedBlock]]
"""Gives blocks from a height on: as many as it likes, none only where there is none."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Over whose test rows a figure is."""

    rows: int
    """About: each member's number is rounded down by up to 5 % before it is added up."""
    members: int | None
    """Whose sums were added up, as many; None where that is not known."""
    away: Sequence[str] = ()
    """Names of the members of the round that were not among them."""

    def text(self) -> str:
        """Return that for people."""
        of = "" if self.members is None else f" of {self.members} members"
        return f"over about {self.rows} test rows{of}" + (
            f", without {', '.join(map(in_words, self.away))}" if self.away else ""
        )

    def json(self) -> dict[str, Any]:
        """Return that for scripts."""
        return asdict(self)


def whose_sum(state: LedgerState, rows: int) -> Whose:
    """Return whose sum is open in this state, the one before its result."""
    assert state.contributors is not None
    names, present = told_names(state), {index for index, _ in state.contributors.dealers}
    away = [key for index, key in enumerate(state.committee.members) if index not in present]
    return Whose(rows, len(present), [names[key] for key in away if key in names])


class LastSum:
    """Of how many members the last result in a ledger is, also while the ledger grows."""

    def __init__(self, state: LedgerState, blocks: Sequence[BlockDecided], read: Read = lambda _: ()) -> None:
        """``blocks``: those that led to ``state``, or the newest of them. ``read``: gives some from a height on."""
        self._open = None if state.contributors is None else len(state.contributors.dealers)
        self._open_round = state.round
        self.members = _last_contributors(blocks)
        self._results = _results(state)
        self._read = read
        self._reached = state
        self._ahead: list[bytes] = []
        """Blocks that were read and follow the state that was reached, the next one last."""

    def on_notice(self, notice: Notice) -> None:
        """Heed what was decided."""
        if notice.kind == "contributors":
            self._open, self._open_round = len(notice.facts["members"]), notice.facts.get("round", -1)
        elif notice.kind == "model":
            self.members = self._open
            self._results += 1

    def current(self, state: LedgerState, rows: int) -> Whose:
        """Return whose the last result of this state is, which may be so new that nobody was told of it yet."""
        found = self.whose(state, rows)
        if self._results == _results(state):
            return found
        return replace(found, members=self._open if self._open_round == state.round - 1 else None)

    def whose(self, state: LedgerState, rows: int) -> Whose:
        """Return whose the last result is, in any state after it.

        Members that were away at a result count the results that they missed up to the next one.
        """
        names = told_names(state)
        return Whose(rows, self.members, [names[one.key] for one in state.members if one.missed])

    def told(self, state: LedgerState, facts: Mapping[str, Any]) -> Whose:
        """Return whose a result is that was just told of.

        ``state``: where blocks are caught up with, it may be later than the result. Then the blocks lead to the one
        that says who was away; where they cannot be read, that is not known.
        """
        if state.settled is not None and state.settled.height == facts["height"]:
            self._reached, self._ahead = state, []
            return self.whose(state, facts["evaluated"])
        then = self._at(facts["height"])
        return Whose(facts["evaluated"], self.members) if then is None else self.whose(then, facts["evaluated"])

    def _at(self, height: int) -> LedgerState | None:
        while self._reached.height < height:
            if not self._ahead:
                self._ahead = [one.block for one in self._read(self._reached.height + 1)][::-1]
            if not self._ahead:
                return None
            self._reached = apply(self._reached, self._ahead.pop())
        return self._reached if self._reached.height == height else None


def _results(state: LedgerState) -> int:
    """Return how many results there have been: each is a trained round, the totals of the setup, or the evaluation.

    Up to a number that stays: totals may be older than the federation.
    """
    return state.trained + (state.totals is not None) + (state.phase is Phase.FINISHED)


def _last_contributors(blocks: Sequence[BlockDecided]) -> int | None:
    """Return how many members contributed to the last result; None where there is none."""
    is_next = False
    for one in reversed(blocks):
        body = read_block(one.block).body
        if is_next and isinstance(body, Contributors):
            return len(body.dealers)
        is_next = is_next or isinstance(body, Model)
    return None
