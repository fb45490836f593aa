"""`peer model export`: the agreed model as a file that anybody can predict with.

`peer model show` is in `model_show`.
"""

import argparse
import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import Exit, PeerError
from ..arguments.shared_options import Subcommands, add_columns_from, add_command, add_json, home_of, print_json
from ..arguments.values import whole
from . import model_show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ....protocol.ledger.state import LedgerState
    from ...home.folder import Home
    from ...learning.arrays import Vector
    from ...learning.exports.exported import TableModel
    from ...reporting.agreed_models import Agreed

_SUFFIXES: Final = {"npz": ".npz", "json": ".json", "onnx": ".onnx", "sklearn": ".skops", "torch": ".pt"}
"""The suffix of a file's name in each format."""

_LOADED_BY: Final = {
    "onnx": "onnxruntime.InferenceSession({file!r})",
    "sklearn": "skops.io.load({file!r})",
    "torch": "torch.load({file!r}, weights_only=True)",
}
"""Python code that loads a file, for the formats that `peer predict` does not read."""


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    parser = subcommands.add_parser("model", help="export or measure the agreed model", description="The agreed model.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    export = add_command(actions, "export", "write the agreed model to a file that needs no Coterie", run)
    export.epilog = (
        "Of a table, the file holds all that a prediction needs: weights, means and deviations, columns, classes\n"
        "(docs/export.md). `peer predict --model FILE` predicts with one that is npz or json. The other formats need\n"
        "packages that are Coterie's extras: pip install 'coterie[onnx]', 'coterie[sklearn]' or 'coterie[torch]'."
    )
    names = f"model{', model'.join(list(_SUFFIXES.values())[:-1])} or model{list(_SUFFIXES.values())[-1]}"
    export.add_argument("--out", required=True, metavar="FILE", help=f"file to write: {names}")
    export.add_argument(
        "--format", choices=tuple(_SUFFIXES), help="what to write (default: as the name of the file says; npz)"
    )
    which = export.add_mutually_exclusive_group()
    which.add_argument("--best", action="store_true", help="the model with the smallest agreed loss, not the newest")
    which.add_argument(
        "--round", type=whole(0), metavar="N", help="the model of round N; a home keeps the newest and the best"
    )
    add_columns_from(export)
    add_json(export)
    model_show.register(actions)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ....protocol.ledger.contribution import read_totals
    from ...reporting.agreed_models import read_agreed
    from ..arguments.output_file import check_apart, is_stream, out_path, report_to, written

    named = {suffix: kind for kind, suffix in _SUFFIXES.items()}
    kind = given.format or named.get(Path(given.out).suffix, "npz")
    path = out_path(given.out, _SUFFIXES[kind])
    home = home_of(given)
    check_apart(path, home, {"--columns-from": given.columns_from})
    agreed = read_agreed(home, round=given.round, best=given.best)
    model = agreed.table_model(given.columns_from and Path(given.columns_from))
    facts, weights = _facts(agreed), agreed.weights
    source = {**facts, "model": agreed.state.genesis.model, "standardised": model is not None}
    if model is None and agreed.state.totals is not None:
        # Only the app knows how it standardises. For that it needs the totals that its `prepare` was given.
        source["totals"] = list(read_totals(agreed.state.totals))
    content = _content(kind, model, weights, source, home)
    with written(path) as file:
        file.write(content)
    if given.json:
        print_json({"file": str(path), **facts}, report_to(path))
    else:
        changed = "" if path == Path(given.out) else f" (not {given.out}: the name says what is in the file)"
        for line in _told(given, agreed, facts, f"{path}{changed}"):
            print(line, file=report_to(path))
        if model is not None and not is_stream(path):
            print(_how_to_use(model, path, kind))
    return 0


def _told(given: argparse.Namespace, agreed: "Agreed", facts: dict[str, Any], file: str) -> "Iterator[str]":
    """Yield lines: what the file holds, how good the model is, and whether there may be newer weights."""
    rounds = agreed.state.options.rounds
    of = f" of {rounds}" if rounds else ""
    yield f"{file}: {len(agreed.weights)} arrays after {facts['trained']}{of} rounds, weights {facts['weights'][:16]}…"
    if agreed.score.loss is not None:
        yield _how_good(agreed)
    is_chosen = given.best or given.round is not None
    if facts["current"] is not True and (facts["matches_ledger"] or not is_chosen):
        yield _how_old(facts["current"], agreed.home)


def _content(
    kind: str, model: "TableModel | None", weights: "Sequence[Vector]", source: dict[str, Any], home: "Home"
) -> bytes:
    """Return the content of the file. It is made before the file is opened, so that a failure leaves no file."""
    from ...learning.exports.exported import no_table_model, write_json, write_npz

    if kind in ("npz", "json"):
        held = io.BytesIO()
        (write_json if kind == "json" else write_npz)(held, model, weights, source)
        return held.getvalue()
    if model is None:
        raise PeerError(f"--format {kind}: {no_table_model(f'the weights in {home.folder}')}", Exit.DATA)
    from ...learning.exports.onnx import onnx_bytes
    from ...learning.exports.sklearn import sklearn_bytes
    from ...learning.exports.torch import torch_bytes
    from ...system.extras import MissingPackage

    make = {"onnx": onnx_bytes, "sklearn": sklearn_bytes, "torch": torch_bytes}[kind]
    try:
        return make(model, source)
    except MissingPackage as error:
        raise PeerError(f"{error}, or leave --format out for a file that numpy reads") from None


def _facts(agreed: "Agreed") -> dict[str, Any]:
    """Return where the weights come from and how good they are, as the file and `--json` say it."""
    from ....protocol.ledger.phases import Phase

    state = agreed.state
    matches = agreed.saved.weights_hash == state.weights_hash
    return {
        "federation": state.federation.hex(),
        "weights": agreed.saved.weights_hash.hex(),
        "round": agreed.score.round,
        "trained": agreed.score.trained,
        "rounds": state.options.rounds,
        "height": state.height,
        "loss": agreed.score.loss,
        "best": agreed.best is not None and agreed.best.weights == agreed.saved.weights_hash,
        "matches_ledger": matches,
        "current": matches and (state.phase is Phase.FINISHED or _is_level(agreed.home, state)),
    }


def _how_to_use(model: "TableModel", path: Path, kind: str) -> str:
    dropped = f", {len(model.dropped)} of them ignored: the same in all rows" if model.dropped else ""
    use = f"peer predict --model {shlex.quote(str(path))} --data FILE.csv"
    if kind in _LOADED_BY:
        use = f"{_LOADED_BY[kind].format(file=str(path))} (docs/export.md)"
    return f"It predicts {model.task.target!r} from {len(model.task.columns)} columns{dropped}: {use}"


def _how_good(agreed: "Agreed") -> str:
    """Say how good this model is, and whether another one is better."""
    from ...reporting.agreed_models import loss_text

    told, best = loss_text(agreed.state, agreed.score), agreed.best
    assert best is not None
    if best.weights == agreed.saved.weights_hash:
        return f"Its {told} over the members' test rows is the best so far."
    return (
        f"Its {told} over the members' test rows is not the best so far: that of round {best.round} has"
        f" {loss_text(agreed.state, best)} (--best)"
    )


def _is_level(home: "Home", state: "LedgerState") -> bool | None:
    """Whether no other member has a higher ledger, as far as the running peer hears.

    None if that cannot be known: the peer does not run, or hears from fewer members than a quorum.
    """
    from ...control.client import ask

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
