"""Heavy pure jobs: frozen values with a ``run`` that a worker thread calls.

A node only describes its jobs. ``run`` imports the vector code when it is called, so a program that only reads ledgers
does not load numba. The result of a job depends on its fields alone. Randomness comes in as the ``entropy`` that the
driver drew with the result of the training. :class:`Train` and :class:`ReadBlocks` have no ``run``: the driver carries
them out.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from .ledger.contribution import WIDE_UNIT, Layout, RoundKind, are_possible_counts, coarse, coarse_sums
from .limits import PROTOCOL_VERSION
from .messages.encoding import digest_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Outcome = TypeVar("Outcome", covariant=True)

SUM_ADD_NS: Final = 0.5
"""What the simulator charges for adding one element; ``topology/engine/costs.py`` says how it was found."""

SHORT: Final = 0.5
"""An update that is at most this part of its bound counts as short (:mod:`.ledger.norms`)."""

HASH_NS: Final = 4.0
"""What the simulator charges for hashing one element."""


class SchemeJob(ABC, Generic[Outcome]):
    """A job of the round's scheme. The node knows it by its purpose: a class below this one."""

    __slots__ = ()
    label: str

    @abstractmethod
    def run(self) -> Outcome:
        """Return the result, which depends on the job's fields alone."""

    @abstractmethod
    def cost_ms(self, columns: int) -> float:
        """Return the time, in milliseconds, that the simulator charges a site of speed 1 for ``columns`` elements."""


class SumJob(SchemeJob[tuple[bytes, bytes]]):
    """Make this member's sum share for the decided contributors, and its digest."""

    __slots__ = ()
    contributors: bytes


@dataclass(frozen=True, slots=True)
class Contribution:
    """The answer of a member's application to :class:`Train`.

    Attributes:
        examples: training examples behind the update.
        sums: the setup sums; or of the *given* weights (evaluated examples, loss times examples, each metric times
            examples).
        entropy: 32 fresh random bytes.
        update: float32[L], the new weights less the given ones; None outside of train rounds.
    """

    examples: int
    sums: tuple[float, ...] = field(repr=False)
    entropy: bytes = field(repr=False)
    update: "NDArray[np.float32] | None" = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Train:
    """Ask the application for a :class:`Contribution` to this round. It is not pure, so the driver carries it out."""

    round: int
    kind: RoundKind
    weights: bytes = field(repr=False)
    totals: tuple[float, ...] | None = field(repr=False)
    label: str = "training"


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode a contribution into the round's vector."""

    round: int
    layout: Layout
    contribution: Contribution = field(repr=False)
    clip: float
    """The bound of an update: of each element, or where dealings prove themselves of its Euclidean norm."""
    summands: int
    examples_ref: int
    label: str = "encoding"

    def run(self) -> "Encoded":
        """Return the vector.

        Raises:
            EncodingError: the contribution has NaN, infinity or sums out of range, no examples, or another shape than
                was agreed.
        """
        import numpy as np

        from ..crypto.prng import Stream, derive
        from ..crypto.sharing.fixed_point import BoundedNorm, EncodingError, FixedPoint, encode_wide

        given = self.contribution
        if given.examples < 1:
            raise EncodingError("there are no examples to train on")
        capped = coarse(min(given.examples, self.examples_ref))
        sums = given.sums if self.layout.is_setup else coarse_sums(given.sums)
        wide = (capped, coarse(given.examples), *sums)
        if len(wide) != self.layout.wide - self.layout.has_bit:
            raise EncodingError(f"{len(given.sums)} sums, but {self.layout.wide - 2} were agreed")
        vector = np.empty(self.layout.columns, dtype=np.uint64)
        clipped, length = 0, 0.0
        if self.layout.parameters:
            if given.update is None or given.update.shape != (self.layout.parameters,):
                raise EncodingError(f"the update does not have the agreed {self.layout.parameters} parameters")
            rounding = derive(given.entropy, b"rounding")
            if self.layout.proved is not None:
                bounded = BoundedNorm(self.clip, self.examples_ref)
                vector[: self.layout.slots], length = bounded.encode(given.update, capped, rounding)
            else:
                codec = FixedPoint(self.clip, self.summands)
                vector[: self.layout.slots], clipped = codec.encode(given.update, capped / self.examples_ref, rounding)
        if self.layout.has_bit:
            wide = (*wide, length <= SHORT)
        limbs = np.concatenate([encode_wide(one) for one in wide])
        vector[self.layout.slots : self.layout.slots + limbs.size] = limbs
        Stream(given.entropy, b"beacon").fill(vector[-2:])
        return Encoded(vector.tobytes(), derive(given.entropy, b"dealing"), clipped, length)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A contribution as field elements, little-endian, and the seed of its dealing."""

    vector: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    clipped: int
    """The number of elements that were clipped, where each is by itself."""
    length: float = 0.0
    """The update's norm in units of its bound, where that is proved; above 1 the update was made shorter."""


@dataclass(frozen=True, slots=True)
class SumShares(SumJob):
    """Add up this member's shares of the decided contributors: S_j."""

    round: int
    contributors: bytes
    rows: tuple[bytes, ...] = field(repr=False)
    label: str = "summing"

    def run(self) -> tuple[bytes, bytes]:
        """Return S_j as bytes and their digest."""
        import numpy as np

        from ..crypto.vectors import add_into

        total = np.frombuffer(self.rows[0], dtype=np.uint64).copy()
        for row in self.rows[1:]:
            add_into(total, np.frombuffer(row, dtype=np.uint64))
        data = total.tobytes()
        return data, digest_of(data)

    def cost_ms(self, columns: int) -> float:
        """Return the time of adding, and of hashing the sum."""
        return 0.05 + 1e-6 * columns * (SUM_ADD_NS * len(self.rows) + HASH_NS)


def fingerprint_of(challenge: bytes, share: bytes, columns: int) -> tuple[int, int]:
    """Return the fingerprint of a sum share that is a vector of field elements.

    Raises:
        ValueError: the share is no vector of so many elements.
    """
    from ..crypto.field import from_bytes
    from ..crypto.vectors import fingerprint

    return fingerprint(challenge, from_bytes(share, columns))


@dataclass(frozen=True, slots=True)
class CheckVector:
    """Derive from W all that a Model block says, and this member's fingerprint of its own sum share.

    A W that is no sum of encodings is an outcome like others (``CheckedVector.wrong``), and members decide on it as
    such. In a setup round the driver also shows the sums to the application. If the application refuses them, W counts
    as such, too: once these sums were decided, nobody could ever train.
    """

    round: int
    vector_hash: bytes
    vector: bytes = field(repr=False)
    layout: Layout
    contributors: int
    challenge: bytes
    clip: float
    summands: int
    examples_ref: int
    base: bytes = field(repr=False)
    own_sum: bytes | None = field(repr=False)
    own_fingerprint: Callable[[bytes, bytes, int], tuple[int, int]] = field(default=fingerprint_of, repr=False)
    """Takes the challenge, this member's sum share and the number of columns; the round's scheme says how."""
    label: str = "checking"

    def run(self) -> "CheckedVector":
        """Return what follows from W.

        Raises:
            ValueError: W is no vector of this round's form.
        """
        from ..crypto.field import from_bytes
        from ..crypto.sharing.fixed_point import EncodingError
        from ..crypto.vectors import fingerprint

        total = from_bytes(self.vector, self.layout.columns)
        sums: tuple[int, ...] = ()
        weights, wrong = b"", None
        try:
            sums, weights = self._decode(total)
        except EncodingError as error:
            wrong = str(error)
        own = self.own_sum
        return CheckedVector(
            vector=self.vector,
            vector_hash=self.vector_hash,
            sums=sums,
            weights=weights,
            weights_hash=digest_of(weights),
            beacon=beacon_of(self.vector),
            secret=fingerprint(self.challenge, total),
            own=None if own is None else self.own_fingerprint(self.challenge, own, self.layout.columns),
            wrong=wrong,
        )

    def _decode(self, total: "NDArray[np.uint64]") -> tuple[tuple[int, ...], bytes]:
        """Return the exact sums and the new weights.

        Raises:
            EncodingError: W cannot be a sum of encodings.
        """
        import numpy as np

        from ..crypto.sharing.fixed_point import BoundedNorm, EncodingError, FixedPoint, decode_wide

        start, is_proved = self.layout.slots, self.layout.proved is not None
        wide = np.ascontiguousarray(total[start : start + 4 * self.layout.wide].reshape(-1, 4))
        sums = tuple(decode_wide(row, self.contributors, is_proved=is_proved) for row in wide)
        if not are_possible_counts(sums[0], sums[1], self.contributors, self.examples_ref):
            raise EncodingError("the example counts are not a sum of possible ones")
        if not self.layout.parameters:
            return sums, self.base
        words, length = np.ascontiguousarray(total[:start]), self.layout.parameters
        codec: BoundedNorm | FixedPoint
        if is_proved:
            codec = BoundedNorm(self.clip, self.examples_ref)
            units = codec.decode_sum(words, length, self.contributors)
        else:
            codec = FixedPoint(self.clip, self.summands)
            units = codec.decode_sum(words, length, self.contributors)
            self._check_mean(units, codec.limit, sums[0])
        return sums, _new_weights(self.base, units, codec.step, sums[0], self.examples_ref)

    def _check_mean(self, units: "NDArray[np.int64]", limit: int, capped: int) -> None:
        """Check that no element of the mean of clipped updates is beyond the clip.

        For encodings this holds by itself: a member's element is at most limit * its count / examples_ref, rounded up.
        Otherwise a dealer whose numbers are no encoding could take away from the divisor of the mean, and so move the
        weights by examples_ref times the clip.

        Raises:
            EncodingError: an element is beyond the clip.
        """
        from ..crypto.sharing.fixed_point import EncodingError

        largest = limit * capped // (self.examples_ref * WIDE_UNIT) + self.contributors
        if max(int(units.max()), -int(units.min())) > largest:
            raise EncodingError("the mean of the updates is beyond the clip")


def beacon_of(vector: bytes) -> bytes:
    """Return the beacon that follows from W: a hash of its last two elements, which are sums of random ones."""
    return hashlib.sha256(b"coterie/beacon/%d\x00" % PROTOCOL_VERSION + vector[-16:]).digest()


def _new_weights(base: bytes, units: "NDArray[np.int64]", step: float, capped: int, examples_ref: int) -> bytes:
    """Return the base weights plus the weighted mean of the updates.

    Each member scaled its update by capped / examples_ref. So the mean is the sum of the slots times examples_ref /
    (sum of capped). These are element-wise IEEE double operations in a fixed order, so all members get the same bits.

    Raises:
        EncodingError: a new weight is not finite.
    """
    import numpy as np

    from ..crypto.sharing.fixed_point import EncodingError

    scale = step * (examples_ref * WIDE_UNIT / capped)
    mean = units.astype(np.float64)
    mean *= scale
    mean += np.frombuffer(base, dtype="<f4")
    with np.errstate(over="ignore"):
        weights = mean.astype("<f4")
    if not np.isfinite(weights).all():
        raise EncodingError("the new weights are not finite")
    return weights.tobytes()


@dataclass(frozen=True, slots=True)
class CheckedVector:
    """What follows from W: exact sums, new weights and the beacon; with <kappa, W> and this member's z.

    ``secret`` is <kappa, W>. ``own`` is this member's z, None if it has no sum share.
    """

    vector: bytes = field(repr=False)
    vector_hash: bytes
    sums: tuple[int, ...]
    weights: bytes = field(repr=False)
    weights_hash: bytes
    beacon: bytes
    secret: tuple[int, int]
    own: tuple[int, int] | None
    wrong: str | None = None
    """Why W cannot be a sum of contributions, if so; then only ``secret`` and ``own`` mean anything."""


@dataclass(frozen=True, slots=True)
class ReadBlocks:
    """Read certified blocks from height ``start`` on, to send them to the peer ``to``; the driver's store has them."""

    to: bytes
    start: int
    label: str = "reading blocks"
