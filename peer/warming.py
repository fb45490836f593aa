"""Loads what the first round needs while a peer still waits for the others.

Compiled kernels are read from their cache when they are first called, and take a second or two. A peer that comes
back would spend it while the others wait for its share.
"""

import contextlib
from typing import Final

from ..crypto.identity import Identity
from ..protocol.committee import Committee
from ..protocol.contribution import Layout
from ..protocol.schemes.base import Choice, Terms
from ..protocol.schemes.shamir import ShamirScheme
from ..protocol.wire import digest_of
from ..protocol.work import CheckVector, Contribution, Encode, SumShares

_MEMBERS: Final = 4
_PARAMETERS: Final = 4


def warm_up() -> None:
    """Run every job of a round once, on a vector of a few numbers. Never fails: the round itself would say why."""
    with contextlib.suppress(Exception):
        _run_round()


def _run_round() -> None:
    import numpy as np

    identities = sorted((Identity.from_seed(bytes([one]) * 32) for one in range(_MEMBERS)), key=lambda one: one.public)
    committee = Committee(tuple(one.public for one in identities))
    scheme, layout = ShamirScheme(committee), Layout(_PARAMETERS, 2)
    terms = Terms(bytes(32), 1, bytes(32), committee.members, layout)
    given = Contribution(1, (), bytes(32), np.zeros(_PARAMETERS, np.float32))
    encoded = Encode(1, layout, given, 1.0, _MEMBERS, 1).run()
    dealt = [
        scheme.deal(terms, one, encoded.vector, encoded.seed, scheme.seeded(place, frozenset())).run()
        for place, one in enumerate(identities)
    ]
    rows: dict[int, bytes] = {}
    for holder, identity in enumerate(identities):
        shares = [
            one.own
            if dealer == holder
            else scheme.check(terms, identity, dealer, one.deal, one.blobs[holder]).run().values or b""
            for dealer, one in enumerate(dealt)
        ]
        rows[holder] = SumShares(1, bytes(32), tuple(shares)).run()[0]
    choice = Choice(tuple((dealer, bytes(32)) for dealer in range(_MEMBERS)), tuple(range(_MEMBERS)))
    opened = scheme.open(terms, choice, rows).run()
    assert opened is not None
    digest = digest_of(opened.vector)
    base = bytes(4 * _PARAMETERS)
    CheckVector(1, digest, opened.vector, layout, _MEMBERS, bytes(32), 1.0, _MEMBERS, 1, base, rows[0]).run()
