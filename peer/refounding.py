"""Going on in a new federation, from the last model of one that cannot decide any more."""

import shutil
import time

import msgspec

from ..protocol.genesis import Genesis, GenesisError, read_genesis
from ..protocol.ledger import LedgerState
from ..protocol.records import ModelSaved
from .exits import Exit, PeerError
from .home import Home, HomeError, KeyProblem, missing_key
from .session import GENESIS, SETTINGS
from .settings import Settings, read_settings
from .status import replay
from .store import FILE_NAME, Reader, Store


def refound(old: Home, new: Home, min_peers: int | None, rounds: int | None) -> str:
    """Make ``new`` the home of a new federation's founder: the old model, task, key and settings.

    Its genesis names the old ledger's head, so that everybody can see what it continues. Returns a line for
    people.

    Raises:
        PeerError: the old peer runs, has no model, or the new home is in use.
    """
    if old.running_pid() is not None:
        raise HomeError(f"{old.folder}: the peer runs; stop it first (`peer stop {old.option}`)")
    if (new.folder / FILE_NAME).exists():
        raise HomeError(f"{new.folder}: there is a peer already; choose another --to")
    state, model, settings, public = _read(old)
    genesis = _continued(state, public, settings.name, min_peers, rounds)
    new.prepare()
    shutil.copyfile(old.key_path, new.key_path)
    new.key_path.chmod(0o600)
    kept = settings.with_given(
        {"bootstrap": (), "invite": None, "min_peers": genesis.min_peers, "rounds": genesis.rounds}
    )
    with new.locked(), Store.open(new.folder) as store:
        store.persist([model])
        store.keep(SETTINGS, kept.encode())
        store.keep(GENESIS, genesis.encode())
    return (
        f"{new.folder}: a new federation {genesis.federation.hex()[:16]}… that continues {state.head.hex()[:16]}…\n"
        f"start it with: peer start {new.option}\n"
        f"do not start {old.folder} again; the others join with a new --home and the line that is printed then"
    )


def _read(old: Home) -> tuple[LedgerState, ModelSaved, Settings, bytes]:
    """Return the old ledger's state, its last model, the settings, and whose home it is."""
    with Reader.open(old.folder) as reader:
        state, model, settings = replay(reader), reader.model(), read_settings(reader.fact(SETTINGS))
    if state is None:
        raise PeerError(f"{old.folder}: this peer is in no federation", Exit.FEDERATION)
    public = old.public_key()
    if public is None:
        raise KeyProblem(missing_key(old))
    if model is None or model.weights_hash != state.weights:
        raise PeerError(
            f"{old.folder}: the last model is not here, or is damaged; another member has to refound", Exit.STORE
        )
    return state, model, settings, public


def _continued(state: LedgerState, founder: bytes, name: str, min_peers: int | None, rounds: int | None) -> Genesis:
    """Return the genesis of the federation that goes on from this state."""
    old = state.genesis
    genesis = msgspec.structs.replace(
        old,
        founder=founder,
        founder_name=name,
        created_ms=int(time.time() * 1000),
        weights=state.weights,
        min_peers=min_peers or old.min_peers,
        rounds=old.rounds if rounds is None else rounds,
        roster=tuple(sorted({*old.roster, founder})) if old.admit == "roster" else (),
        previous=state.head,
    )
    try:
        return read_genesis(genesis.encode())
    except GenesisError as error:
        raise PeerError(f"--min-peers or --rounds: no federation can be founded with these: {error}") from None
