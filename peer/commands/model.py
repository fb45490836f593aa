"""`peer model export`: the agreed weights as a file."""

import argparse
import json
from typing import Any

from ..exits import Exit, PeerError, no_federation
from .common import Subcommands, add_command, add_json, home_of, print_json


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    parser = subcommands.add_parser("model", help="export the agreed model", description="The agreed model.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    export = add_command(actions, "export", "write the agreed weights to an .npz file", run)
    export.add_argument("--out", required=True, metavar="FILE.npz", help="file to write")
    add_json(export)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    import numpy as np

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
    facts: dict[str, Any] = {
        "federation": state.federation.hex(),
        "weights": model.weights_hash.hex(),
        "trained": state.trained,
        "height": state.height,
        "current": model.weights_hash == state.weights,
    }
    named: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(arrays)}
    named["coterie"] = np.array(json.dumps({**facts, "model": state.genesis.model}))
    with written(path) as file:
        np.savez(file, **named)
    if given.json:
        print_json({"file": str(path), **facts})
    else:
        print(f"{path}: {len(arrays)} arrays after {state.trained} rounds, weights {facts['weights'][:16]}…")
    return 0
