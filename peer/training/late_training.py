"""Training that takes longer than a round waits for updates: the site is told each time, and what to do.

Otherwise it would not notice that its updates are left out. Where the training of all sites is so slow, no round ever
has a result.
"""

from dataclasses import dataclass, field
from typing import Final

_KEPT_ROUNDS: Final = 16


@dataclass(slots=True)
class LateTraining:
    """How long the training of the newest rounds took. ``now``: seconds of a clock that never goes back.

    ``begin`` and ``end`` are called in the thread that trains, the other methods in the main thread.
    """

    deadline_seconds: float = 0.0
    app: str | None = None
    _began: dict[int, float] = field(default_factory=dict)
    _took: dict[int, float] = field(default_factory=dict)
    _left_out: dict[int, bool] = field(default_factory=dict)
    """Rounds without this peer's update; True where it was told already that the training still goes on."""

    def begin(self, round: int, now: float) -> None:
        """Note that the training for a round begins."""
        self._began[round] = now

    def end(self, round: int, now: float) -> None:
        """Note that the training for a round is over."""
        self._took[round] = now - self._began[round]

    def leave_out(self, round: int) -> None:
        """Note that a round went on without this peer's update."""
        self._left_out.setdefault(round, False)

    def look(self, now: float) -> list[tuple[int, str]]:
        """Return what is to be told now: texts, each after the round that it is about."""
        told = []
        for round, was_told in list(self._left_out.items()):
            took, began = self._took.get(round), self._began.get(round)
            if took is not None:
                del self._left_out[round]
                if took > self.deadline_seconds:
                    told.append((round, self._text(round, f"took {took:.3g} s, longer than")))
            elif began is not None and not was_told:
                self._left_out[round] = True
                if now - began > self.deadline_seconds:
                    told.append((round, self._text(round, f"still goes on after {now - began:.3g} s, longer than")))
        for kept in (self._began, self._took, self._left_out):
            for round in sorted(kept)[:-_KEPT_ROUNDS]:
                kept.pop(round, None)
        return told

    def _text(self, round: int, how: str) -> str:
        less = "take fewer rows" if self.app is None else f"have {self.app}.fit() do less a round"
        return (
            f"training for round {round} {how} the --share-deadline of {self.deadline_seconds:g} s, so the update of"
            f" this peer was left out of the round; {less}, or go on with a longer one: peer refound"
            " --share-deadline S (the founder chose it, and it cannot be changed in this federation)"
        )
