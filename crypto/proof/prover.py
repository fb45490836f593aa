"""The dealer's side: share the vector, the witness and the quotient, and publish the functionals of all three.

Deterministic in its arguments, as `dealing.deal` is: a dealer that is restarted sends the same bytes.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..field import P, Vector, interpolate, is_canonical, lagrange_matrix
from ..prng import Stream, derive
from ..sharing import merkle
from ..sharing.dealing import CONTEXT_BYTES, SEED_BYTES
from ..vectors import RunningFingerprints, checked, matmul
from .commitment import NOTHING, SEED, VALUES, Commitment
from .functionals import Functionals, projected, quotient_of
from .statement import falsehood
from .terms import BLINDING, COUNTS, DIGIT_OFFSET, DIGITS, ROWS, SLOT, TOP_LIMB, WHOLE, Declared, Terms
from .transcript import Transcript, chained, digest_of, leaf

MAX_ATTEMPTS: Final = 8
"""Number of attempts. One attempt of an honest dealer fails with probability 2^-45 (docs/proof.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Proved:
    """A commitment and the shares behind it, one for each holder. The shares are secret."""

    commitment: Commitment
    shares: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Proved({self.commitment.id.hex()[:16]}, shares=<{len(self.shares)} secrets>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a dealing holds secrets and is not pickled")


class Unprovable(ValueError):
    """A vector for which the statement is false. The message names the false part and contains no number."""


def prove(context: bytes, terms: Terms, vector: Vector, capped: int, examples: int, seed: bytes) -> Proved:
    """Share out a vector with the proof that it is as `terms` states.

    Args:
        context: 32 bytes that no other dealing has.
        terms: what all parties know of the dealing.
        vector: uint64[terms.columns], canonical.
        capped: the count in its first wide sum.
        examples: the count in its second wide sum.
        seed: 32 secret random bytes.

    Raises:
        Unprovable: a count is out of range, a sum is not as declared, or the update is too long.
        ValueError: an argument has the wrong form.
    """
    if len(context) != CONTEXT_BYTES or len(seed) != SEED_BYTES:
        raise ValueError(f"context and seed have {CONTEXT_BYTES} and {SEED_BYTES} bytes")
    if not is_canonical(checked(vector, terms.columns)):
        raise ValueError("an element is not below the field's prime")
    if not 1 <= capped <= min(examples, terms.reference):
        raise Unprovable("the capped count is not between 1 and both the examples and their reference")
    false = falsehood(terms, vector)
    if false is not None:
        raise Unprovable(false)
    digest = hashlib.sha256(vector.astype("<u8", copy=False).tobytes()).digest()
    bound = b"proof|dealing" + context + terms.encoded() + digest
    for attempt in range(MAX_ATTEMPTS):
        found = Prover(context, terms, vector, capped, examples, derive(seed, bound + bytes([attempt]))).prove()
        if found is not None:
            return found
    raise Unprovable("the update is longer than its weight allows")


@lru_cache(maxsize=64)
def _interpolation(points: tuple[int, ...]) -> Vector:
    """The matrix that takes a polynomial's values at the points to its coefficients."""
    units = [interpolate(points, [int(i == j) for j in range(len(points))]) for i in range(len(points))]
    return np.array(units, dtype=np.uint64).T.copy()


def octal(numbers: NDArray[np.int64] | int, digits: int) -> Vector:
    """The `digits` lowest octal digits of numbers from 0 to below 2^63, lowest first, along a new last axis."""
    return (np.asarray(numbers)[..., None] >> 3 * np.arange(digits) & 7).astype(np.uint64)


class Prover:
    """One attempt at a proved dealing. Each method is a step of it."""

    def __init__(self, context: bytes, terms: Terms, vector: Vector, capped: int, examples: int, key: bytes) -> None:
        self.context, self.terms, self.vector, self.key = context, terms, vector, key
        self.capped, self.examples = capped, examples
        self.transcript = Transcript(context, terms)
        self.seeds = {holder: derive(key, b"seed %d" % holder) for holder in terms.seeded}
        self.points = (0, *(holder + 1 for holder in terms.seeded))
        self.others = [holder for holder in range(terms.holders) if holder not in self.seeds]
        self.matrix = lagrange_matrix(self.points, [holder + 1 for holder in self.others])
        self.basis: list[Vector] = []
        self.trees: list[bytes] = []
        self.parts: list[list[bytes]] = [[] for _ in range(terms.holders)]

    def prove(self) -> Proved | None:
        """The dealing; None if the projections are too long: another attempt is needed, or the update is too long."""
        self.share(self.vector)
        halves = self.halves()
        if halves is not None and self.is_too_long(halves):
            return None
        cells = self.witness(halves)
        self.share(cells)
        self.share(self.quotient(cells))
        commitment = Commitment((self.trees[0], self.trees[1], self.trees[2]), self.published())
        return Proved(commitment, tuple(b"".join(parts) for parts in self.parts))

    def share(self, secrets: Vector) -> None:
        """Share the next stage, and make its tree with a leaf for each holder."""
        stage = len(self.trees)
        rows = np.empty((self.terms.threshold, secrets.size), dtype=np.uint64)
        rows[0] = secrets
        for row, seed in zip(rows[1:], self.seeds.values(), strict=True):
            Stream(seed, b"share %d" % stage).fill(row)
        self.basis.append(rows)
        payloads = self.payloads(stage, dict(zip(self.others, matmul(self.matrix, rows), strict=True)))
        digest, nonces = digest_of(self.terms), []
        leaves = []
        for holder, (kind, payload) in enumerate(payloads):
            nonces.append(derive(self.key, b"nonce %d %d" % (stage, holder)))
            leaves.append(leaf(self.context, digest, stage, kind, nonces[holder], payload))
        tree = merkle.Tree(leaves)
        self.trees.append(tree.root)
        for holder, (kind, payload) in enumerate(payloads):
            self.parts[holder].append(b"".join((kind, nonces[holder], tree.path(holder), payload)))

    def payloads(self, stage: int, values: dict[int, Vector]) -> list[tuple[bytes, bytes]]:
        """Kind and payload for each holder: its values, or once the seed of all stages."""
        found = []
        for holder in range(self.terms.holders):
            if holder in self.seeds:
                found.append((NOTHING, b"") if stage else (SEED, self.seeds[holder]))
            else:
                found.append((VALUES, values[holder].astype("<u8", copy=False).tobytes()))
        return found

    def halves(self) -> list[int] | None:
        """The halves A_0, A_1, ... and B_0, B_1, ... of the projections; None if there is no update."""
        size = self.terms.update_columns
        if not size:
            return None
        sums = projected(self.transcript, self.terms, chained((self.trees[0],))[0], self.vector[:size])
        signed = [one if one <= P // 2 else one - P for one in sums]
        low = [(one + SLOT // 2) % SLOT - SLOT // 2 for one in signed]
        return low + [(one - part) // SLOT for one, part in zip(signed, low, strict=True)]

    def is_too_long(self, halves: list[int]) -> bool:
        """Whether the projections do not fit the statement: a half, or the sum of their squares, is too large."""
        allowed = self.terms.norm_factor * self.terms.allowance(self.capped) ** 2
        within = all(-DIGIT_OFFSET <= half < DIGIT_OFFSET for half in halves)
        return not within or sum(half * half for half in halves) > allowed

    def witness(self, halves: list[int] | None) -> Vector:
        """The cells of the witness, with two random rows in each column."""
        layout = self.terms.layout
        cells = np.zeros(layout.cells, dtype=np.uint64)
        masks = np.empty(layout.masks.size, dtype=np.uint64)
        Stream(self.key, b"masks").fill(masks)
        cells[layout.masks] = masks
        cells[layout.count] = octal(self.capped - 1, layout.count.size)
        cells[layout.room] = octal(self.terms.reference - self.capped, layout.room.size)
        cells[layout.more] = octal(self.examples - self.capped, layout.more.size)
        first = self.terms.update_columns
        limbs = self.vector[first:-BLINDING].astype(np.int64).reshape(-1, layout.limbs.shape[1])
        offsets = np.zeros_like(limbs)
        for one in range(COUNTS, self.terms.wide_sums):
            offsets[one, -1] = TOP_LIMB * (self.terms.declared_of(one) is Declared.NOT_NEGATIVE)
        cells[layout.limbs] = octal(limbs - offsets, layout.limbs.shape[2])
        cells[layout.limb_bits] = (limbs[:, : layout.limb_bits.shape[1]] >> 30 & 1).astype(np.uint64)
        cells[layout.sum_bits] = (limbs[list(self.terms.bits), 1] // WHOLE).astype(np.uint64)
        if halves is not None:
            self.norm(cells, halves)
        return cells

    def norm(self, cells: Vector, halves: list[int]) -> None:
        """Fill in the cells of the projections, their squares, N and the slack."""
        layout, allowance = self.terms.layout, self.terms.allowance(self.capped)
        shifted = np.array(halves, dtype=object) + DIGIT_OFFSET
        cells[layout.projections] = octal((shifted % 8**DIGITS).astype(np.int64), DIGITS)
        cells[layout.allowance] = allowance % P
        squares = [sum(one * one for one in halves[row::ROWS]) for row in range(ROWS)]
        allowed = self.terms.norm_factor * allowance * allowance
        squares[0] -= allowed
        cells[layout.squares] = np.array([one % P for one in squares], dtype=np.uint64)
        cells[layout.slack] = octal(max(0, -sum(squares)), layout.slack.size)

    def quotient(self, cells: Vector) -> Vector:
        """The values of the quotient, and two random elements that blind the fingerprints."""
        root = chained((self.trees[0], self.trees[1]))[1]
        values = quotient_of(self.terms, self.transcript.alpha(root), self.terms.layout.table(cells))
        blinding = np.empty(BLINDING, dtype=np.uint64)
        Stream(self.key, b"blinding").fill(blinding)
        return np.concatenate([values, blinding])

    def published(self) -> bytes:
        """The coefficients of all published polynomials, in the order of `Commitment.polynomials`."""
        roots = chained((self.trees[0], self.trees[1], self.trees[2]))
        vector, witness, quotient = self.basis
        values = Functionals(self.transcript, self.terms, roots).of_rows((vector, witness, quotient))
        marks = fingerprints(self.transcript.fingerprint_seed(roots[2]), (vector, witness, quotient))
        coefficients = matmul(_interpolation(self.points), np.concatenate([values, marks], axis=1))
        return coefficients.T.astype("<u8").tobytes()


def fingerprints(seed: bytes, stages: tuple[Vector, Vector, Vector]) -> Vector:
    """Both fingerprints of rows, uint64[m, C_s] of each stage s, blinded by the last two elements: uint64[m, 2]."""
    running = RunningFingerprints(seed, stages[0].shape[0])
    for rows in stages[:-1]:
        running.add(rows)
    running.add(stages[-1], stages[-1].shape[1] - BLINDING)
    found = [
        [(int(mark) + int(blind)) % P for mark, blind in zip(marks, row[-BLINDING:], strict=True)]
        for marks, row in zip(running.values, stages[-1], strict=True)
    ]
    return np.array(found, dtype=np.uint64)
