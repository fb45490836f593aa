"""Founding a federation: from the founder's settings to the genesis block that binds everybody."""

import math
from pathlib import Path
from typing import Final

import msgspec

from ...crypto.identity.identity import BadPeerId, Identity, public_of
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.genesis import MILLION, Bounds, Genesis, GenesisError, Stopping, bounds_of, read_genesis
from ...protocol.ledger.norms import norm_of
from ...protocol.limits import MAX_PROVED_MEMBERS, MAX_PROVED_REFERENCE, MIN_TRAINING_MEMBERS
from ...protocol.messages.encoding import digest_of
from ...protocol.records import ModelSaved
from ..errors import PeerError
from ..home.settings import Settings
from ..learning.learner import MAX_EXAMPLES, Learner
from ..learning.metrics import figures_to_come, label

_UNKNOWN_EXAMPLES_CAP: Final = 1024

"""The examples cap where an app does not say how many examples it trains on."""


def check_min_peers(wanted: int, advice: str = "") -> None:
    """Refuse a ``--min-peers`` below three: a sum of two updates shows each member the other's.

    Args:
        wanted: the number of members with which training is to begin.
        advice: what to do instead, for the message; begins with a semicolon.

    Raises:
        PeerError: ``wanted`` is too small.
    """
    if wanted < MIN_TRAINING_MEMBERS:
        raise PeerError(
            f"--min-peers {wanted}: at least {MIN_TRAINING_MEMBERS}, because a sum of two updates"
            f" shows each member the other's{advice}"
        )


def found(settings: Settings, identity: Identity, learner: Learner, now_ms: int) -> tuple[Genesis, ModelSaved]:
    """Return the genesis and the initial model. ``now_ms``: unix time.

    Raises:
        PeerError: no federation can have such an option; the message names it.
    """
    check_min_peers(settings.min_peers)
    if settings.admit == "roster" and settings.roster is None:
        raise PeerError("--admit roster: give --roster FILE with the PeerIds that may join, one a line")
    if settings.admit != "roster" and settings.roster is not None:
        raise PeerError("--roster: only with --admit roster")
    if settings.examples_cap > MAX_EXAMPLES:
        raise PeerError(f"--examples-cap {settings.examples_cap}: at most {MAX_EXAMPLES}")
    # Adding 0.0 makes negative zeros positive. The first sum would do so, and the same model would have two hashes.
    weights = (learner.initial() + 0.0).astype("<f4").tobytes()
    digest = digest_of(weights)
    most_weight = MAX_EXAMPLES if settings.norm == "off" else MAX_PROVED_REFERENCE
    try:
        genesis = Genesis(
            name=settings.federation,
            founder=identity.public,
            founder_name=settings.name,
            created_ms=now_ms,
            model=learner.descriptor,
            shapes=learner.shapes,
            weights_hash=digest,
            setup_sums=len(learner.setup()),
            metrics=learner.metrics,
            final_metrics=learner.final_metrics,
            scheme=settings.scheme,
            threshold=settings.threshold,
            clip_exponent=_exponent(settings.clip),
            examples_ref=settings.examples_cap or min(default_examples_cap(learner.examples), most_weight),
            rounds=settings.rounds,
            min_peers=settings.min_peers,
            admit=settings.admit,  # type: ignore[arg-type]  # argparse knows the choices
            roster=_roster(settings.roster, identity.public),
            round_interval_ms=round(settings.round_interval * 1000),
            share_deadline_ms=round(settings.share_deadline * 1000),
            view_timeout_ms=round(settings.view_timeout * 1000),
            evict_after_rounds=settings.evict_after,
            evict_on_proof=not settings.no_evict,
            stopping=_stopping(settings),
            bounds=_bounds(settings, learner),
            round_time_ms=round(settings.round_time * 1000) or None,
        )
        # Decoded from its bytes, so that every bound is checked that a joiner will check.
        return read_genesis(genesis.encode()), ModelSaved(digest, weights)
    except GenesisError as error:
        raise PeerError(f"no federation can be founded with these options: {error}") from None


def default_examples_cap(examples: int | None) -> int:
    """Return the default of ``--examples-cap``, the largest number of examples that a member is weighted by.

    It is four times the founder's number, up to a power of two. So the founder's update loses only about two bits of
    its precision, and a member with a few times the founder's data still counts in full.

    Args:
        examples: the number of examples that the founder trains on; None where its app does not say.
    """
    if examples is None:
        return _UNKNOWN_EXAMPLES_CAP
    return min(1 << max(2, (4 * examples - 1).bit_length()), MAX_EXAMPLES)


def explain_threshold(genesis: Genesis, members: int) -> str:
    """Say what the threshold of the genesis means for this number of members."""
    stand_ins = tuple(index.to_bytes(32, "big") for index in range(members))
    return Committee(stand_ins, genesis.threshold).explain(genesis.scheme)


def explain_norm(genesis: Genesis) -> str:
    """Say what dealings prove; an empty text if they prove nothing."""
    bounds = genesis.bounds
    if bounds is None:
        return ""
    norm = f"{norm_of(bounds.quarters):.4g}"
    if bounds.adapts:
        norm += " at first, then about twice as long as the updates"
    return (
        f"each member proves that its update is no longer than its weight allows (with full weight {norm}); at most"
        f" {MAX_PROVED_MEMBERS} members can take part"
    )


def explain_end(genesis: Genesis) -> str:
    """Say when the training ends."""
    latest = f"after {genesis.rounds} rounds" if genesis.rounds else "when it is stopped"
    stopping = genesis.stopping
    if stopping is None:
        to_come = figures_to_come(genesis.model, genesis.final_metrics) if not genesis.rounds else []
        lost = (
            f"; {', '.join(map(label, to_come))} over all members' test rows come with the evaluation after the last"
            " round, which there is with --rounds or --patience only"
        )
        return f"training ends {latest}" + (lost if to_come else "")
    rounds = f"{stopping.patience} rounds in a row bring" if stopping.patience > 1 else "a round brings"
    delta = (
        f" by more than {stopping.min_delta_millionths / MILLION:.6g} of it" if stopping.min_delta_millionths else ""
    )
    return f"training ends {latest}, or before, once {rounds} no loss that is smaller than the best{delta}"


def _stopping(settings: Settings) -> Stopping | None:
    if not settings.patience:
        return None
    return Stopping(patience=settings.patience, min_delta_millionths=int(round(settings.min_delta * MILLION, 3)))


def _bounds(settings: Settings, learner: Learner) -> Bounds | None:
    """Return what dealings prove, by ``--norm`` and by what the app declares of its setup sums."""
    if settings.norm == "off":
        return None
    bounds = bounds_of(settings.norm)
    assert bounds is not None
    return msgspec.structs.replace(bounds, setup_declared=learner.setup_declared())


def _exponent(clip: float) -> int:
    mantissa, exponent = math.frexp(clip)
    if clip <= 0 or mantissa != 0.5:
        raise PeerError(f"--clip {clip:g}: a power of two is needed, such as 0.5, 1, 2 or 4")
    return exponent - 1


def _roster(path: str | None, founder: bytes) -> tuple[bytes, ...]:
    """Read a roster: one PeerId a line, comments after #. The founder is on it in any case."""
    if path is None:
        return ()
    try:
        lines = Path(path).expanduser().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PeerError(f"--roster {path}: cannot be read ({error})") from None
    keys = {founder}
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            keys.add(public_of(text))
        except BadPeerId as error:
            raise PeerError(f"--roster {path}, line {number}: {error}") from None
    return tuple(sorted(keys))
