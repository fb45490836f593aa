"""Our own small model of what the paper did.

A server; numbers of three decimal digits; one Paillier ciphertext for each parameter, under a key that all clients
hold; or plain shares, over the integers and without a modulus as in the paper's own example. The holders add these up,
and the server opens with K of the sums, drawn by a seed. Nothing is checked, and nothing is robust. It is a model to
measure: nobody should protect data with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from paper_loop import Clock, Spent
from paper_task import Floats

from coterie.crypto.paillier.encryption import add, decrypt, encrypt
from coterie.crypto.paillier.keys import PrivateKey, generate


def key_of(seed: bytes = bytes(32)) -> PrivateKey:
    """The Paillier key, with its table made."""
    private = generate(seed)
    private.public.blinding()
    return private


@dataclass
class Ciphertexts:
    """The paper's Paillier: a ciphertext for each parameter, rounded to so many digits."""

    private: PrivateKey
    digits: int = 3

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        key, unit = self.private.public, 10**self.digits
        clock, times, sent = Clock(), [], []
        for number, update in enumerate(updates):
            plain = [round(value * unit) % int(key.modulus) for value in update.tolist()]
            sent.append(encrypt(key, plain, number.to_bytes(32, "big")))
            times.append(clock.lap())
        total = add(sent)
        spent.aggregator += clock.lap()
        opened = [int(one) for one in decrypt(self.private, total)]
        signed = [one - int(key.modulus) if 2 * one > key.modulus else one for one in opened]
        mean: Floats = np.array(signed, dtype=np.float64) / unit / len(updates)
        spent.client += float(np.median(times)) + clock.lap()
        spent.sent += len(sent[0].to_bytes())
        return mean


@dataclass
class Shares:
    """The paper's secret sharing: each client deals to N holders, who add up; the server opens with K of the sums."""

    digits: int = 3
    holders: int = 0
    """N; 0 for the number of clients."""
    needed: int = 0
    """K; 0 for more than half."""
    manipulated: int = 0
    """Sums that their holders change by up to one whole parameter."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    def mean(self, updates: Sequence[Floats], spent: Spent) -> Floats:
        holders = self.holders or max(2, len(updates))
        needed, unit = self.needed or holders // 2 + 1, 10**self.digits
        points = np.arange(1, holders + 1, dtype=object)
        clock, times = Clock(), []
        sums = np.zeros((holders, updates[0].size), dtype=object)
        for update in updates:
            secret = np.array([round(value * unit) for value in update.tolist()], dtype=object)
            rows = [secret, *self.rng.integers(0, 2**40, (needed - 1, update.size)).astype(object)]
            sums += [sum(row * int(x) ** power for power, row in enumerate(rows)) for x in points]
            times.append(clock.lap())
        if self.manipulated:
            sums[-self.manipulated :] += self.rng.integers(-unit, unit + 1, (self.manipulated, updates[0].size)).astype(
                object
            )
        drawn = sorted(int(x) for x in self.rng.permutation(holders)[:needed] + 1)
        clock.lap()
        top = {x: math.prod(y for y in drawn if y != x) for x in drawn}
        low = {x: math.prod(y - x for y in drawn if y != x) for x in drawn}
        common = math.lcm(*low.values())
        total = sum(sums[x - 1] * (top[x] * (common // low[x])) for x in drawn)
        mean: Floats = np.array([int(one) / common for one in total]) / unit / len(updates)
        spent.aggregator += clock.lap()
        spent.client += float(np.median(times))
        spent.sent += 8 * updates[0].size * holders
        return mean
