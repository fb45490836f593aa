"""A peer that cheats on purpose, for tests and the demo: set COTERIE_FAULT in its environment.

``wrong-sum:3,4`` falsifies the sum shares of rounds 3 and 4, and with them the fingerprints in the
prevotes: the other members see a consistent lie. It harms nobody but the one who sets it, who is named and,
where the federation evicts on proof, removed.
"""

import hashlib
import os
from dataclasses import replace
from typing import Final

from ..protocol.events import Work, WorkDone
from ..protocol.work import SumShares
from .exits import PeerError

VARIABLE: Final = "COTERIE_FAULT"
_WRONG_SUM: Final = "wrong-sum:"


class Misbehaviour:
    """What to falsify, from the environment."""

    def __init__(self, rounds: frozenset[int] = frozenset()) -> None:
        self.rounds = rounds

    def falsify(self, work: Work, done: WorkDone) -> WorkDone:
        """Return the outcome of a job, false where it is to be."""
        if not isinstance(work, SumShares) or work.round not in self.rounds or done.error is not None:
            return done
        data = bytearray(done.result[0])
        # The low bit of the first element: still a canonical element of the field.
        data[0] ^= 1
        false = bytes(data)
        return replace(done, result=(false, hashlib.sha256(false).digest()))


def from_environment() -> Misbehaviour:
    """Read the switch.

    Raises:
        PeerError: it is set to something unknown.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return Misbehaviour()
    try:
        kind, _, rounds = text.partition(":")
        if f"{kind}:" != _WRONG_SUM:
            raise ValueError
        return Misbehaviour(frozenset(int(one) for one in rounds.split(",")))
    except ValueError:
        raise PeerError(f"{VARIABLE}={text}: write {_WRONG_SUM}ROUND[,ROUND], or unset it") from None
