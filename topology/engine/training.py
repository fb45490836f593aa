"""The contributions of simulated peers to rounds."""

import hashlib
from typing import Protocol

import numpy as np

from ...protocol.jobs import Contribution, Train
from ...protocol.ledger.contribution import metrics_of
from ...protocol.ledger.genesis import Genesis


class Trainer(Protocol):
    """Trains on behalf of every site."""

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        """Return a site's contribution to a round. The result must depend on the arguments only.

        Args:
            site: number of the site.
            work: the job that the node asked for.
            genesis: of the federation.
            entropy: 32 fresh random bytes, to be handed on in the contribution.
        """


class Flat:
    """No learning: every site adds a small vector of its own, so that sums can be told apart."""

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        """Return a contribution that depends on the site and the round only."""
        examples = 10 + site
        if work.kind == "setup":
            return Contribution(examples, tuple(1.0 for _ in range(genesis.setup_sums)), entropy)
        sums = (examples / 2, float(examples), *(1.0 for _ in metrics_of(genesis, work.kind)))
        update = None
        if work.kind == "train":
            drawn = hashlib.sha256(b"update %d %d" % (site, work.round)).digest()
            rng = np.random.default_rng(int.from_bytes(drawn[:8], "big"))
            update = rng.uniform(-0.1, 0.1, genesis.parameters).astype(np.float32)
        return Contribution(examples, sums, entropy, update)
