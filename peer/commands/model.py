"""`peer model export`: the agreed weights as a file."""

import argparse
import json
from typing import TYPE_CHECKING, Any, Final

from ..exits import Exit, PeerError, no_federation
from .common import Subcommands, add_command, add_json, home_of, print_json

if TYPE_CHECKING:
    from ...protocol.ledger import LedgerState
    from ..home import Home

STANDARDISED: Final = (
    "The weights are for standardised columns: (value - mean) / standard deviation, over all members' training rows; so"
    " is a numeric target."
)


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    parser = subcommands.add_parser("model", help="export the agreed model", description="The agreed model.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    export = add_command(actions, "export", "write the agreed weights to an .npz file", run)
    export.epilog = (
        "Of a table, the weights are for standardised columns: (value - mean) / standard deviation, over all members'\n"
        "training rows; so is a numeric target. Columns are in alphabetical order."
    )
    export.add_argument("--out", required=True, metavar="FILE.npz", help="file to write")
    add_json(export)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    import numpy as np

    from ...protocol.ledger import Phase
    from ..learning.arrays import unflatten
    from ..outfile import out_path, written
    from ..status import replay
    from ..store import Reader

    path = out_path(given.out, ".npz")
    home = home_of(given)
    with Reader.open(home.folder) as reader:
        state, model = replay(reader), reader.model()
    if state is None:
        raise PeerError(no_federation(home.folder), Exit.FEDERATION)
    if model is None:
        raise PeerError(
            f"{home.folder}: there is no model yet, or it is damaged; the peer fetches it when it runs", Exit.STORE
        )
    arrays = unflatten(np.frombuffer(model.weights, dtype="<f4"), state.genesis.shapes)
    is_finished, task = state.phase is Phase.FINISHED, state.genesis.model
    matches = model.weights_hash == state.weights
    facts: dict[str, Any] = {
        "federation": state.federation.hex(),
        "weights": model.weights_hash.hex(),
        "trained": state.trained,
        "rounds": state.genesis.rounds,
        "height": state.height,
        "matches_ledger": matches,
        "current": matches and (is_finished or _is_level(home, state)),
    }
    named: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(arrays)}
    named["coterie"] = np.array(json.dumps({**facts, "model": task, "standardised": _is_standardised(task)}))
    with written(path) as file:
        np.savez(file, **named)
    if given.json:
        print_json({"file": str(path), **facts})
    else:
        of = f" of {state.genesis.rounds}" if state.genesis.rounds else ""
        print(f"{path}: {len(arrays)} arrays after {state.trained}{of} rounds, weights {facts['weights'][:16]}…")
        if facts["current"] is not True:
            print(_how_old(facts["current"], home))
        if _is_standardised(task):
            print(STANDARDISED)
    return 0


def _is_standardised(model: str) -> bool:
    """Whether the members train on tables; an own app sees to its inputs itself."""
    from ..learning.task import TaskMismatch, read_description

    try:
        read_description(model)
    except TaskMismatch:
        return False
    return True


def _is_level(home: "Home", state: "LedgerState") -> bool | None:
    """Whether the ledger in a home is level with the others', as the running peer hears; None: it cannot know."""
    from ..control import ask

    if home.running_pid() is None:
        return None
    try:
        rows = ask(home.socket_path, {"do": "status"})["status"]["members"]
    except (PeerError, KeyError):
        return None
    heights = [row["height"] for row in rows if row["member"] and not row["me"] and row["height"] is not None]
    if any(height > state.height for height in heights):
        return False
    return True if len(heights) + 1 >= state.committee.quorum else None


def _how_old(current: bool | None, home: "Home") -> str:
    if current is False:
        return "This is not the newest model: the peer is still catching up with the other members."
    start = "" if home.running_pid() is not None else f": peer start {home.option}"
    return f"The other members may have a newer model; this home learns that from them{start}"
