"""The first block: what the members of a federation agree on before anything else.

The federation's id is the hash of these bytes, so a peer that knows the id cannot be shown other parameters.
"""

import hashlib
import math
from typing import Annotated, Final, Literal

import msgspec

from ..limits import (
    MAX_ARRAYS,
    MAX_BARRED,
    MAX_DESCRIPTOR_BYTES,
    MAX_DIMENSIONS,
    MAX_MEMBERS,
    MAX_METRICS,
    MAX_NAME_CHARS,
    MAX_PARAMETERS,
    MAX_PROVED_PARAMETERS,
    MAX_PROVED_REFERENCE,
    MAX_SETUP_SUMS,
    MIN_TRAINING_MEMBERS,
    PROTOCOL_VERSION,
)
from ..messages.encoding import DecodeError, Hash, Key, decode, encode
from ..scheme_registry import DEFAULT_SCHEME, SCHEMES
from .norms import FIRST_QUARTERS, LEAST_QUARTERS, MOST_QUARTERS, nearest_quarters

GENESIS_BYTES = 64 * 1024
MILLION = 1_000_000

Shape = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=1, le=MAX_PARAMETERS)], ...], msgspec.Meta(max_length=MAX_DIMENSIONS)
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
DurationMs = Annotated[int, msgspec.Meta(ge=10, le=86_400_000)]
Total = Annotated[bytes, msgspec.Meta(min_length=1, max_length=20)]
"""An exact total as a signed big-endian integer of the fewest bytes, in units of 2**-40."""


_BLANKS: Final = " \u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(
    map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
"""Characters that count as printable and cannot be seen: fillers, joiners and variation selectors."""


class GenesisError(ValueError):
    """Parameters that cannot make a federation; says which and why."""


class OtherVersion(GenesisError):
    """A genesis of another version of the protocol; ``version`` is the one that it names."""

    def __init__(self, version: int) -> None:
        super().__init__(f"it is of protocol version {version}, and this is version {PROTOCOL_VERSION}")
        self.version = version


class Continued(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What a federation takes over from the one that it continues.

    Two sums of the same numbers over different members differ by exactly the numbers of the members that are in one of
    the sums only. So sums that are public there are not added up here again.
    """

    head: Hash
    """Hash of the newest block of the ledger there."""
    setup_totals: Annotated[tuple[Total, ...], msgspec.Meta(max_length=MAX_SETUP_SUMS)] = ()
    """Totals of the setup round there; where they are given, there is no second setup round."""
    evaluated: bool = False
    """The loss and metrics of the initial ``weights`` are public; on this base model nobody contributes them again."""
    barred: Annotated[tuple[Key, ...], msgspec.Meta(max_length=MAX_BARRED)] = ()
    """Members that were evicted on proof there; they are not admitted here either."""


class Stopping(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """When training ends before its last round (:mod:`.stopping`)."""

    patience: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    """Rounds in a row that measured no better loss, after which the final model is evaluated and training ends."""
    min_delta_millionths: Annotated[int, msgspec.Meta(ge=0, le=MILLION - 1)] = 0
    """A loss is better if it is below the best one by more than this part of it, in millionths."""


class Bounds(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What each dealing proves (docs/proof.md): a bounded update, its weight, and what is declared of setup sums.

    A setup round with more than MAX_PROVED_SETUP_SUMS sums proves nothing.
    """

    quarters: Annotated[int, msgspec.Meta(ge=LEAST_QUARTERS, le=MOST_QUARTERS)]
    """The largest norm of an update in the first round is 2^(quarters / 4)."""
    adapts: bool = True
    """Whether the bound follows the updates (:mod:`.norms`)."""
    setup_declared: Annotated[bytes, msgspec.Meta(max_length=MAX_SETUP_SUMS)] = b""
    """What is proved of each setup sum, a byte each: 0 for nothing, 1 that it is not negative, 2 that it is 0 or 1."""


def bounds_of(norm: str) -> Bounds | None:
    """Return the bounds that a text stands for: off, auto, or the largest norm of an update."""
    if norm == "off":
        return None
    if norm == "auto":
        return Bounds(quarters=FIRST_QUARTERS)
    return Bounds(quarters=nearest_quarters(float(norm)), adapts=False)


class Genesis(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The parameters of a federation. All members run exactly these."""

    version: Literal[2] = PROTOCOL_VERSION
    name: Name
    founder: Key
    founder_name: Name
    created_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    model: Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTOR_BYTES)]
    """Descriptor of the learning task; a joiner's must be equal."""
    shapes: Annotated[tuple[Shape, ...], msgspec.Meta(min_length=1, max_length=MAX_ARRAYS)]
    weights_hash: Hash
    """Digest (:func:`..messages.encoding.digest_of`) of the initial weights, little-endian float32."""
    setup_sums: Annotated[int, msgspec.Meta(ge=0, le=MAX_SETUP_SUMS)] = 0
    """Sums added up securely in a first round, before training (for standardisation); 0 for none."""
    metrics: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_METRICS)] = ()
    scheme: Annotated[str, msgspec.Meta(max_length=16)] = DEFAULT_SCHEME
    """One of :data:`..scheme_registry.SCHEMES`."""
    threshold: Annotated[int, msgspec.Meta(ge=0, le=MAX_MEMBERS)] = 0
    """K, or 0 for the default of docs/protocol.md, which depends on the number of members."""
    clip_exponent: Annotated[int, msgspec.Meta(ge=-20, le=20)] = 2
    """Parameters of an update are clipped to +-2**clip_exponent."""
    rounds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    """Training rounds after which the final model is evaluated and training ends; 0: no limit."""
    min_peers: Annotated[int, msgspec.Meta(ge=MIN_TRAINING_MEMBERS, le=MAX_MEMBERS)] = MIN_TRAINING_MEMBERS
    admit: Literal["invite", "open", "roster"] = "invite"
    roster: Annotated[tuple[Key, ...], msgspec.Meta(max_length=MAX_MEMBERS)] = ()
    examples_ref: Annotated[int, msgspec.Meta(ge=1, le=2**40)] = 1024
    """Examples that weigh 1 in the mean: a member with more counts as so many.

    It never changes. If it followed the counts that members state, a member that states a huge count would make all
    others weigh next to nothing.
    """
    round_interval_ms: Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400_000)] = 0
    """Rest between the end of a round and the training for the next: 0 for none, a day for nightly rounds."""
    share_deadline_ms: DurationMs = 60_000
    """From the start of training until the round goes on without the members that have not dealt and acked."""
    view_timeout_ms: DurationMs = 3_000
    view_delta_ms: DurationMs = 1_000
    evict_after_rounds: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 50
    """Consecutive rounds a member may miss before it can be evicted for silence; 0: never."""
    evict_on_proof: bool = True
    continued: Continued | None = None
    """From the federation that this one continues (``peer refound``)."""
    stopping: Stopping | None = None
    """When training ends before its last round; None: never."""
    final_metrics: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_METRICS)] = ()
    """Metrics that the evaluation adds up beside ``metrics``, and no other round does.

    They are of numbers that a member may have the same in two rounds, whatever the model: how many of its rows are of a
    class, or how many of them a model gets right that says the same of all rows. Two sums of these over different
    members would give the numbers of single members away. A federation that continues one that has added them up has
    none.
    """
    bounds: Bounds | None = None
    """What each dealing proves; None: nothing, and each element of an update is clipped by itself."""
    round_time_ms: DurationMs | None = None
    """How long each member trains in a round, as much as it can; None: as much as the model asks for."""

    @property
    def parameters(self) -> int:
        """Length L of the flat weight vector."""
        total = 0
        for shape in self.shapes:
            size = 1
            for length in shape:
                size *= length
            total += size
        return total

    @property
    def previous(self) -> bytes | None:
        """Hash of the newest block of the federation that this one continues; None if it continues none."""
        return None if self.continued is None else self.continued.head

    @property
    def totals(self) -> tuple[int, ...] | None:
        """The totals of the setup round that were carried over, in units of 2**-40; None if there are none."""
        encoded = () if self.continued is None else self.continued.setup_totals
        return tuple(int.from_bytes(one, "big", signed=True) for one in encoded) or None

    @property
    def is_evaluated(self) -> bool:
        """Whether the loss and metrics of the initial weights are public already."""
        return self.continued is not None and self.continued.evaluated

    @property
    def barred(self) -> tuple[bytes, ...]:
        """Keys of members that were evicted on proof from the federation that this one continues."""
        return () if self.continued is None else self.continued.barred

    def encode(self) -> bytes:
        """Return the genesis bytes, without the later additions (``stopping`` and what follows) that are not used.

        So a genesis that does not use them has the same bytes, and the same id, as before these fields existed.
        """
        fields = list(msgspec.structs.astuple(self))
        for unused in (None, None, (), None):  # from the last one
            if fields[-1] != unused:
                break
            fields.pop()
        return encode(fields)

    @property
    def federation(self) -> bytes:
        """The federation's id: the hash of the genesis bytes, and the head hash at height 0."""
        return hashlib.sha256(b"coterie/genesis/%d\x00" % PROTOCOL_VERSION + self.encode()).digest()


def is_readable(name: str) -> bool:
    """Whether a user can read a name: it is printable, and it begins and ends with something that can be seen."""
    return name.isprintable() and name == name.strip(_BLANKS) != ""


def is_private(scheme: str) -> bool:
    """Whether a scheme keeps single updates secret, so that it matters which sums are opened."""
    return SCHEMES[scheme].is_private


def read_genesis(data: bytes) -> Genesis:
    """Decode genesis bytes that came from a peer or a file.

    Raises:
        OtherVersion: the genesis of another version of the protocol.
        GenesisError: malformed, out of bounds, or inconsistent.
    """
    try:
        genesis = decode(data, Genesis, GENESIS_BYTES, Genesis.encode)
    except DecodeError as error:
        version = _version_of(data)
        if version is not None and version != PROTOCOL_VERSION:
            raise OtherVersion(version) from None
        raise GenesisError(str(error)) from None
    check_genesis(genesis)
    return genesis


def _version_of(data: bytes) -> int | None:
    """Return the version that genesis bytes name; None if they are no genesis of any version.

    In all versions a genesis is an array that begins with the version.
    """
    try:
        fields = msgspec.msgpack.decode(data[:GENESIS_BYTES], type=list[msgspec.Raw])
        return msgspec.msgpack.decode(fields[0], type=int)
    except (msgspec.MsgspecError, IndexError, UnicodeDecodeError, RecursionError):
        return None


def total_bytes(value: int) -> bytes:
    """Encode an exact total (:data:`Total`) for the genesis."""
    return value.to_bytes(_total_length(value), "big", signed=True)


def _total_length(value: int) -> int:
    return (value if value >= 0 else ~value).bit_length() // 8 + 1


def check_genesis(genesis: Genesis) -> None:
    """Check the rules for a genesis that the types of its fields cannot express.

    Raises:
        GenesisError: a rule is broken; names the parameter.
    """
    if genesis.parameters > MAX_PARAMETERS:
        raise GenesisError(f"shapes: {genesis.parameters} parameters exceed the limit of {MAX_PARAMETERS}")
    measured = (*genesis.metrics, *genesis.final_metrics)
    for name in (genesis.name, genesis.founder_name, *measured):
        if not is_readable(name):
            raise GenesisError(f"names: {name!r} cannot be printed, is blank, or begins or ends with a blank")
    if genesis.scheme not in SCHEMES:
        raise GenesisError(f"scheme: there is no {genesis.scheme!r}; this version has {', '.join(SCHEMES)}")
    if genesis.threshold == 1:
        raise GenesisError("threshold: 1 would let every holder open every update; use 2 or more, or 0 for the default")
    if (genesis.admit == "roster") != bool(genesis.roster):
        raise GenesisError("roster: needed with admit=roster, and only there")
    if genesis.admit == "roster" and genesis.founder not in genesis.roster:
        raise GenesisError("roster: the founder's key is not in it")
    if len(set(genesis.roster)) != len(genesis.roster):
        raise GenesisError("roster: a key stands twice")
    if genesis.bounds is not None:
        _check_bounds(genesis, genesis.bounds)
    if genesis.round_time_ms is not None and 4 * genesis.round_time_ms > 3 * genesis.share_deadline_ms:
        raise GenesisError(
            f"round_time: {genesis.round_time_ms / 1000:g} s are more than three quarters of the share_deadline of"
            f" {genesis.share_deadline_ms / 1000:g} s, which has to leave time to measure and to deal; it needs a"
            f" share_deadline of {math.ceil(genesis.round_time_ms / 750)} s or more"
        )
    if genesis.continued is not None:
        _check_continued(genesis, genesis.continued)
    if len(set(measured)) != len(measured):
        raise GenesisError("metrics: a name stands twice")
    if len(genesis.encode()) > GENESIS_BYTES:
        raise GenesisError(f"the parameters take more than {GENESIS_BYTES} bytes (too many arrays or roster keys)")


def _check_continued(genesis: Genesis, continued: Continued) -> None:
    totals = continued.setup_totals
    if len(totals) not in (0, genesis.setup_sums):
        raise GenesisError(f"setup_totals: {len(totals)} totals of {genesis.setup_sums} setup sums")
    if any(total_bytes(value) != one for value, one in zip(genesis.totals or (), totals, strict=True)):
        raise GenesisError("setup_totals: a total is longer than it need be")
    if len(set(continued.barred)) != len(continued.barred) or genesis.founder in continued.barred:
        raise GenesisError("barred: a key stands twice, or it is the founder's")


def _check_bounds(genesis: Genesis, bounds: Bounds) -> None:
    if not SCHEMES[genesis.scheme].proves_dealings:
        raise GenesisError(f"bounds: dealings of {genesis.scheme} prove nothing")
    if genesis.examples_ref > MAX_PROVED_REFERENCE:
        raise GenesisError(f"bounds: a proof reckons with full weights of up to {MAX_PROVED_REFERENCE} examples")
    if genesis.parameters > MAX_PROVED_PARAMETERS:
        raise GenesisError(f"bounds: a proof covers up to {MAX_PROVED_PARAMETERS} parameters")
    if len(bounds.setup_declared) > genesis.setup_sums or any(one > 2 for one in bounds.setup_declared):
        raise GenesisError("bounds: what is declared of the setup sums is malformed")
