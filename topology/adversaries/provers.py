"""Provers that lie at one step of a proof, and dealings made by them.

A prover proves whatever vector it has, as far as that goes. It is refused from the dealing alone, or by the holder
whose share is off (docs/proof.md).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ...crypto.field import P, Vector, from_bytes
from ...crypto.proof.functionals import projected
from ...crypto.proof.prover import Proved, Prover, octal
from ...crypto.proof.statement import falsehood
from ...crypto.proof.terms import DIGIT_OFFSET, SLOT
from ...crypto.proof.transcript import chained
from ...crypto.sharing.fixed_point import encode_wide
from ...protocol.ledger.contribution import Layout, counts_of
from ...protocol.ledger.terms import statement
from ...protocol.schemes.shamir import DealShares

__all__ = [
    "LIES",
    "LyingDeal",
    "OtherProjections",
    "Stubborn",
    "is_lie",
    "larger_allowance",
    "lie_about",
    "lowered_squares",
    "lying",
    "negative_slack",
    "one_share_off",
    "oversize_digits",
    "second_bit",
    "signed",
    "squeezed",
    "stubborn",
    "with_prover",
]

Payloads = list[tuple[bytes, bytes]]


class Stubborn(Prover):
    """Proves whatever it has, as far as that goes."""

    def is_too_long(self, halves: list[int]) -> bool:
        """Never, by its own account."""
        return False


def lying(**steps: Callable[..., Any]) -> type[Prover]:
    """Return a prover with other steps: each takes the prover, the step's arguments, and what the honest step gives."""

    def bent(name: str, bend: Callable[..., Any]) -> Callable[..., Any]:
        def step(self: Prover, *arguments: Any) -> Any:
            return bend(self, *arguments, getattr(Stubborn, name)(self, *arguments))

        return step

    return type("Liar", (Stubborn,), {name: bent(name, bend) for name, bend in steps.items()})


def signed(numbers: Vector) -> list[int]:
    """Return elements as the integers nearest to 0 that they stand for."""
    return [int(one) if one <= P // 2 else int(one) - P for one in numbers]


# Lies about an update that is too long.


def squeezed(_self: Prover, halves: list[int]) -> list[int]:
    """Return projections that are scaled down."""
    return [max(-DIGIT_OFFSET, min(DIGIT_OFFSET - 1, round(half * 0.4))) for half in halves]


def negative_slack(self: Prover, _halves: list[int] | None, cells: Vector) -> Vector:
    """Put what is missing to the slack, as a negative number, into one of its digits."""
    layout = self.terms.layout
    cells[layout.slack[0]] = -sum(signed(cells[layout.squares])) % P
    return cells


def lowered_squares(self: Prover, _halves: list[int] | None, cells: Vector) -> Vector:
    """Say of one row that its squares are fewer."""
    layout = self.terms.layout
    cells[layout.squares[5]] = (int(cells[layout.squares[5]]) - sum(signed(cells[layout.squares]))) % P
    cells[layout.slack] = 0
    return cells


def larger_allowance(self: Prover, _halves: list[int] | None, cells: Vector) -> Vector:
    """Take the allowance of a larger count."""
    layout, allowance = self.terms.layout, 3 * self.terms.unit * self.terms.reference
    grown = allowance**2 - self.terms.allowance(self.capped) ** 2
    cells[layout.allowance] = allowance
    cells[layout.squares[0]] = (int(cells[layout.squares[0]]) - self.terms.norm_factor * grown) % P
    cells[layout.slack] = octal(-sum(signed(cells[layout.squares])), layout.slack.size)
    return cells


def oversize_digits(self: Prover, _halves: list[int] | None, cells: Vector) -> Vector:
    """Let every projection be what it is, by one digit that is too large."""
    layout, update = self.terms.layout, self.vector[: self.terms.update_columns]
    sums = projected(self.transcript, self.terms, chained((self.trees[0],))[0], update)
    for k, wanted in enumerate(sums):
        have = -(1 + SLOT) * DIGIT_OFFSET
        for half, factor in ((k, 1), (256 + k, SLOT)):
            have += factor * sum(int(cells[c]) * 8**j for j, c in enumerate(layout.projections[half]))
        first = layout.projections[k][0]
        cells[first] = (int(cells[first]) + wanted - have) % P
    return cells


class OtherProjections(Stubborn):
    """Takes the projections that would follow from another root."""

    def halves(self) -> list[int] | None:
        """Return them, scaled down."""
        trees, self.trees = self.trees, [bytes(32)]
        try:
            return squeezed(self, super().halves() or [])
        finally:
            self.trees = trees


def second_bit(self: Prover, _halves: list[int] | None, cells: Vector) -> Vector:
    """Say 2 for a bit of a limb, of the first sum after the counts if there is one."""
    bits = self.terms.layout.limb_bits
    cells[bits[min(2, len(bits) - 1), 0]] = 2
    return cells


def _off_quotient(_self: Prover, _cells: Vector, values: Vector) -> Vector:
    values[4] = (int(values[4]) + 1) % P
    return values


def one_share_off(stage: int, place: int, victim: int) -> type[Prover]:
    """Return a prover that gives one holder, which gets values, a false one in a stage."""

    def off(_self: Prover, at: int, _values: dict[int, Vector], payloads: Payloads) -> Payloads:
        if at == stage:
            kind, payload = payloads[victim]
            values = np.frombuffer(payload, dtype="<u8").copy()
            values[place] = (int(values[place]) + 1) % P
            payloads[victim] = kind, values.tobytes()
        return payloads

    return lying(payloads=off)


# Dealings in a simulation.


def _long(times: float) -> Callable[[Vector, Layout], Vector]:
    """Return a change that gives the update so many times the length that its weight allows, in its first element."""

    def bend(vector: Vector, layout: Layout) -> Vector:
        assert layout.proved is not None
        if layout.slots:
            capped, _ = counts_of(vector, layout)
            vector[: layout.slots] = 0
            vector[0] = round(times * (2**20 // layout.proved.reference) * capped)
        return vector

    return bend


def _with_sum(place: int, value: float) -> Callable[[Vector, Layout], Vector]:
    """Return a change that puts a value into one of the sums."""

    def bend(vector: Vector, layout: Layout) -> Vector:
        first = layout.slots + 4 * (place % layout.wide)
        vector[first : first + 4] = encode_wide(value)
        return vector

    return bend


def _with_element(where: str, value: int) -> Callable[[Vector, Layout], Vector]:
    def bend(vector: Vector, layout: Layout) -> Vector:
        place = {"update": 0, "limb": layout.slots + 8, "top limb": layout.slots + 11}[where]
        vector[place] = value
        return vector

    return bend


def _as_it_is(vector: Vector, _: Layout) -> Vector:
    return vector


LIES: Final[dict[str, tuple[type[Prover], Callable[[Vector, Layout], Vector]]]] = {
    "1.1 times": (Stubborn, _long(1.1)),
    "4 times": (Stubborn, _long(4)),
    "1000 times": (Stubborn, _long(1000)),
    "squeezed": (lying(halves=squeezed), _long(4)),
    "negative slack": (lying(witness=negative_slack), _long(4)),
    "lowered squares": (lying(witness=lowered_squares), _long(4)),
    "larger allowance": (lying(witness=larger_allowance), _long(4)),
    "oversize digits": (lying(halves=lambda _self, halves: [0] * len(halves), witness=oversize_digits), _long(4)),
    "other projections": (OtherProjections, _long(4)),
    "an element": (Stubborn, _with_element("update", 0x0123456789ABCDEF)),
    "a limb": (Stubborn, _with_element("limb", 2**31 + 5)),
    "a bit": (lying(witness=second_bit), _as_it_is),
    "a top limb": (Stubborn, _with_element("top limb", 3 * 2**29)),
    "no weight": (Stubborn, _with_sum(0, 0.0)),
    "more weight": (Stubborn, _with_sum(0, 2.0**30)),
    "negative weight": (Stubborn, _with_sum(0, -5.0)),
    "half a one": (Stubborn, _with_sum(0, 1.5)),
    "no examples": (Stubborn, _with_sum(1, 0.0)),
    "negative evaluated": (Stubborn, _with_sum(2, -7.0)),
    "quotient": (lying(quotient=_off_quotient), _as_it_is),
}
"""Dealings with false proofs: the prover, and what it changes of the vector. Each is refused from the dealing alone.

Some are lies in rounds of some kinds only, where there is an update, or something is declared of a sum.
"""


@dataclass(frozen=True, slots=True)
class LyingDeal(DealShares):
    """A dealing by a prover that lies."""

    prover: type[Prover] = Stubborn
    bend: Callable[[Vector, Layout], Vector] = _as_it_is

    def _prove(self, context: bytes, stated: Any, vector: Vector) -> Proved:
        bent = self.bend(vector.copy(), self.terms.layout)
        counts = counts_of(vector, self.terms.layout)
        proved = self.prover(context, stated, bent, *counts, self.seed).prove()
        assert proved is not None
        return proved


def lie_about(work: DealShares, rng: random.Random, way: str = "") -> DealShares:
    """Return the job with a lie: the one that is named, or any that makes a difference in this round."""
    names = [name for name, (_, bend) in LIES.items() if is_lie(bend, work)]
    prover, bend = LIES[way or rng.choice(names)]
    return with_prover(work, prover, bend)


def stubborn(work: DealShares) -> DealShares:
    """Return the job, done by a prover that proves whatever it has."""
    return with_prover(work, Stubborn, _as_it_is)


def with_prover(work: DealShares, prover: type[Prover], bend: Callable[[Vector, Layout], Vector]) -> DealShares:
    """Return the job, done by this prover, of the vector after this change."""
    values = {name: getattr(work, name) for name in DealShares.__dataclass_fields__}
    return LyingDeal(**values, prover=prover, bend=bend)


def is_lie(bend: Callable[[Vector, Layout], Vector], work: DealShares) -> bool:
    """Whether a change makes the statement false: one of the update does not where there is none."""
    layout = work.terms.layout
    vector = bend(from_bytes(work.vector, layout.columns).copy(), layout)
    return bend is _as_it_is or falsehood(statement(work.terms, work.committee.threshold, 0), vector) is not None
