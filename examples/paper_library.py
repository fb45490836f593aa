"""Two of Coterie's libraries that no round uses yet, with which a loop can average, too.

Paillier with many values in a ciphertext, here under a key of one owner; and masked sums: the vectors go masked to the
aggregator, and only their keys are summed with Shamir's scheme.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from paper_loop import Clock, Spent
from paper_task import Floats

from coterie.crypto import prng
from coterie.crypto.masks import mask
from coterie.crypto.masks.parameters import DIMENSION, MaskParameters
from coterie.crypto.paillier.encryption import Encrypted, add, decrypt, encrypt
from coterie.crypto.paillier.keys import PrivateKey
from coterie.crypto.paillier.packing import Packing
from coterie.crypto.sharing.shamir import Scheme
from coterie.crypto.vectors import add_into

CLIP = 4.0
"""Values of an update are cut here, as in a federation by default."""


@dataclass
class Packed:
    """Coterie's Paillier library: values of 24 bits, as many in a ciphertext as fit."""

    private: PrivateKey

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        packing = Packing(self.private.public.bits, len(updates))
        unit, clock = packing.limit / CLIP, Clock()
        times: list[float] = []
        sent: list[Encrypted] = []
        for number, update in enumerate(updates):
            values = np.rint(np.clip(update, -CLIP, CLIP) * unit).astype(np.int64)
            sent.append(encrypt(self.private.public, packing.pack(values), number.to_bytes(32, "big")))
            times.append(clock.lap())
        total = add(sent)
        spent.aggregator += clock.lap()
        sums = packing.unpack_sum(decrypt(self.private, total), updates[0].size, len(updates))
        mean: Floats = sums / unit / len(updates)
        spent.client += float(np.median(times)) + clock.lap()
        spent.sent += len(sent[0].to_bytes())
        return mean


class Masked:
    """Coterie's masked sums: every vector goes masked to the aggregator, and only the keys are shared out."""

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        parameters, public, count = MaskParameters(len(updates), CLIP), bytes(32), len(updates)
        scheme, clock, times = Scheme(count, count // 2 + 1), Clock(), []
        columns = parameters.encoding.columns(updates[0].size)
        total = np.zeros(columns, dtype=np.uint64)
        keys = np.zeros((count, DIMENSION), dtype=np.uint64)
        for number, update in enumerate(updates):
            seed = number.to_bytes(32, "big")
            words, _ = parameters.encoding.encode(update.astype(np.float32), 1.0, seed)
            key, masked = mask.mask(parameters, public, words, seed, b"examples/paper.py")
            randomness = prng.stream(seed, b"key", (scheme.threshold - 1) * DIMENSION)
            shares = scheme.share(key.vector[None], randomness.reshape(-1, DIMENSION))
            times.append(clock.lap())
            add_into(total, masked)
            spent.aggregator += clock.lap()
            for mine, share in zip(keys, shares, strict=True):
                add_into(mine, share)
            clock.lap()
        opened = scheme.reconstruct(range(scheme.threshold), keys[: scheme.threshold])[0]
        words = mask.unmask(parameters, public, total, opened, count)
        units = parameters.encoding.decode_sum(words, updates[0].size, count)
        spent.aggregator += clock.lap()
        spent.client += float(np.median(times))
        spent.sent += 8 * columns + 8 * DIMENSION * (count - 1)
        mean: Floats = units * parameters.encoding.step / count
        return mean
