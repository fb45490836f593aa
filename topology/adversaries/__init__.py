"""Sixteen ways to misbehave, each a small class behind :class:`.base.Adversary`."""

from typing import Final

from .base import Adversary
from .dealing import MisDeal, Withhold, WrongShare
from .network import FalseHead, ForgedCertificate, Replay, Selective, Silent, Twins
from .voting import Amnesia, Burst, DoubleVote, Equivocate, InvalidValue, StaleLock, ViewFlood

__all__ = ["STRATEGIES", "Adversary"]

STRATEGIES: Final[dict[str, type[Adversary]]] = {
    one.name: one
    for one in (
        Silent,
        Equivocate,
        DoubleVote,
        Amnesia,
        Burst,
        StaleLock,
        InvalidValue,
        ViewFlood,
        Selective,
        Twins,
        MisDeal,
        Withhold,
        WrongShare,
        ForgedCertificate,
        FalseHead,
        Replay,
    )
}
"""The strategies by the names that ``--byzantine`` takes."""
