"""The members of test federations: their identities, and a genesis that the first of them founds."""

import hashlib
from typing import Any

import numpy as np

from coterie.crypto.identity.identity import Identity
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.messages.encoding import digest_of
from coterie.topology.network.clock import START_MS

__all__ = ["START_MS", "identity", "make_genesis"]


def identity(number: int) -> Identity:
    """The identity of test peer ``number``."""
    return Identity.from_seed(hashlib.sha256(b"test peer %d" % number).digest())


def make_genesis(parameters: int = 6, **changes: Any) -> Genesis:
    """A small federation founded by test peer 0."""
    weights = np.zeros(parameters, dtype="<f4").tobytes()
    base = Genesis(
        name="test",
        founder=identity(0).public,
        founder_name="peer 0",
        created_ms=START_MS,
        model="test model",
        shapes=((parameters,),),
        weights_hash=digest_of(weights),
        admit="open",
        rounds=2,
        share_deadline_ms=5_000,
        view_timeout_ms=500,
        view_delta_ms=250,
    )
    values = {name: getattr(base, name) for name in base.__struct_fields__} | changes
    return Genesis(**values)
