"""The verifiers' side: what everybody checks of a dealing, and what a holder checks of its share."""

from functools import lru_cache

from ..field import Vector, evaluate, from_bytes
from ..prng import stream
from ..sharing import merkle
from ..sharing.dealing import CONTEXT_BYTES, BadShare
from .commitment import NOTHING, SEED, VALUES, Commitment, Part, parts_of, polynomial_count
from .extension import ZERO, Element, add, multiply
from .functionals import Functionals, gadget
from .prover import fingerprints
from .terms import Terms
from .transcript import Transcript, digest_of, leaf


class BadDealing(Exception):
    """A commitment that does not prove its statement. With the dealer's signature it is evidence by itself."""


def check_public(context: bytes, terms: Terms, commitment: Commitment) -> None:
    """Check what a dealer published, in time that does not grow with the update.

    Everybody comes to the same answer from the signed message alone.

    Raises:
        BadDealing: the message has a wrong form, or the published values contradict the statement.
        ValueError: the context has another length.
    """
    _check_context(context)
    polynomials = _polynomials(terms, commitment)
    functionals = _functionals(context, terms, commitment.roots)
    at_zero = [int(polynomial[0]) for polynomial in polynomials]
    elements: list[Element] = list(zip(at_zero[0:-2:2], at_zero[1:-2:2], strict=True))
    if add(elements[0], functionals.constant) != ZERO:
        raise BadDealing("the equations do not hold of the vector that was dealt")
    alpha = Transcript(context, terms).alpha(commitment.roots[1])
    if gadget(terms, alpha, elements[1:-1]) != multiply(functionals.vanishing(), elements[-1]):
        raise BadDealing("a digit, a bit or a sum of squares is not what it should be")


def check_share(context: bytes, terms: Terms, holder: int, commitment: Commitment, share: bytes) -> Vector:
    """Check a holder's share, and return the holder's values of the vector, uint64[terms.columns].

    The commitment must have passed `check_public`.

    Raises:
        BadShare: the share is not the committed one, or does not fit the published polynomials. A provable one is
            evidence for everybody.
        ValueError: the context has another length.
    """
    _check_context(context)
    try:
        parts = parts_of(terms, holder, share)
    except ValueError as error:
        raise BadShare(str(error), provable=False) from None
    digest = digest_of(terms)
    for stage, (part, tree) in enumerate(zip(parts, commitment.trees, strict=True)):
        found = leaf(context, digest, stage, part.kind, part.nonce, part.payload)
        if merkle.root_from_path(found, holder, part.path) != tree:
            raise BadShare("the share is not the one that was committed to", provable=False)
    # From here on the dealer itself committed to these bytes for this holder.
    stages = _values(terms, holder, parts)
    polynomials = _polynomials(terms, commitment)
    wanted = [evaluate([int(one) for one in polynomial], holder + 1) for polynomial in polynomials]
    own = _functionals(context, terms, commitment.roots).of_share(stages)
    if own != wanted[:-2]:
        raise BadShare("the share does not lie on the published polynomials", provable=True)
    seed = Transcript(context, terms).fingerprint_seed(commitment.roots[2])
    marks = fingerprints(seed, (stages[0][None], stages[1][None], stages[2][None]))
    if [int(one) for one in marks[0]] != wanted[-2:]:
        raise BadShare("the share does not lie on the committed polynomials", provable=True)
    return stages[0]


def _check_context(context: bytes) -> None:
    if len(context) != CONTEXT_BYTES:
        raise ValueError(f"a context has {CONTEXT_BYTES} bytes, not {len(context)}")


def _polynomials(terms: Terms, commitment: Commitment) -> Vector:
    """The published coefficients, uint64[polynomials, K].

    Raises:
        BadDealing: the commitment does not have this form.
    """
    count = polynomial_count(terms)
    if any(len(one) != merkle.DIGEST_BYTES for one in commitment.trees):
        raise BadDealing("three trees have roots of 32 bytes each")
    try:
        return from_bytes(commitment.polynomials, count * terms.threshold).reshape(count, terms.threshold)
    except ValueError as error:
        raise BadDealing(f"the published polynomials: {error}") from None


@lru_cache(maxsize=64)
def _functionals(context: bytes, terms: Terms, roots: tuple[bytes, ...]) -> Functionals:
    """The functionals of a dealing. Cached: a holder needs them for the message, its share, and each complaint."""
    return Functionals(Transcript(context, terms), terms, list(roots))


def _values(terms: Terms, holder: int, parts: list[Part]) -> tuple[Vector, Vector, Vector]:
    """A holder's values of the three stages, from the parts of its share.

    Raises:
        BadShare: a part has the wrong kind for this holder, or a value is not canonical.
    """
    found = []
    for stage, (part, size) in enumerate(zip(parts, terms.stages, strict=True)):
        # A seeded holder gets one seed, in its first part, and expands all stages from it.
        seeded = holder in terms.seeded
        if part.kind != (VALUES if not seeded else NOTHING if stage else SEED):
            raise BadShare("a share of the wrong kind for this holder", provable=True)
        if seeded:
            found.append(stream(bytes(parts[0].payload), b"share %d" % stage, size))
            continue
        try:
            found.append(from_bytes(part.payload, size))
        except ValueError as error:
            raise BadShare(str(error), provable=True) from None
    return found[0], found[1], found[2]
