"""Homes of members that train on tables, at the end of a ledger written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
from chains import Chain
from members import identity, make_genesis

from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.kinds import CertifiedBlock
from coterie.protocol.records import BlockDecided, ModelSaved


def table_genesis(app: TableApp, **changes: Any) -> Genesis:
    """The federation that trains what ``app`` does."""
    learner = Learner(app)
    return make_genesis(
        parameters=learner.initial().size,
        model=learner.descriptor,
        shapes=learner.shapes,
        weights_hash=digest_of(learner.initial().tobytes()),
        setup_sums=len(learner.setup()),
        metrics=learner.metrics,
        final_metrics=learner.final_metrics,
        min_peers=3,
        **changes,
    )


def table_home(folder: Path, app: TableApp, seed: int = 1, rounds: int = 1, **kept: Any) -> Path:
    """Make the home of a member whose federation adds up the sums of this table alone, and then trains ``rounds``.

    The weights are random. ``kept``: settings.
    """
    learner, random = Learner(app), np.random.default_rng(seed)
    chain = Chain(1, table_genesis(app, rounds=2))
    chain.append(Membership(tuple(chain.join(identity(number), learner.descriptor) for number in (1, 2))))
    weights = learner.initial().astype("<f4")
    chain.append(chain.contributors())
    chain.append(chain.model(3, 3, *learner.setup()))
    for _ in range(rounds):
        weights = random.normal(size=weights.size).astype("<f4")
        chain.append(chain.contributors())
        chain.append(chain.model(weights=digest_of(weights.tobytes())))
    folder.mkdir(mode=0o700)
    fill(folder, chain.genesis, chain.blocks, weights.tobytes(), Settings(**kept))
    return folder


def fill(folder: Path, genesis: Genesis, blocks: list[CertifiedBlock], weights: bytes, kept: Settings) -> None:
    """Write the store of a home."""
    with Store.open(folder) as store:
        store.persist([BlockDecided(height, one.block, one.certificate) for height, one in enumerate(blocks, 1)])
        store.persist([ModelSaved(digest_of(weights), weights)])
        store.keep("genesis", genesis.encode())
        store.keep("settings", kept.encode())
