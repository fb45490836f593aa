"""`peer model show`: how good the agreed model is, over all members' test rows and over this site's own."""

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json
from ..arguments.values import whole

if TYPE_CHECKING:
    from ...learning.best_round import Scored
    from ...reporting.agreed_models import Agreed

Json = dict[str, Any]

_MOST_WITH_AREAS: Final = 3
"""The most classes for which the members add up an AUC."""


def register(actions: Subcommands) -> None:
    """Add the command."""
    show = add_command(actions, "show", "tell all figures of the agreed model, beside those on your own rows", run)
    show.epilog = (
        "members: over the test rows of all members, out of the secure sums in the ledger\n"
        "before:  what is known of the last model that was measured, until the next round measures this one\n"
        "ours:    the same model on the test rows of this home's table\n"
        "alone:   a model trained on this table's other rows only, for as many rounds, on the same test rows\n\n"
        "The last two are computed here and now, and are told to nobody else (docs/tables.md)."
    )
    which = show.add_mutually_exclusive_group()
    which.add_argument(
        "--best", action="store_true", help="show the model with the smallest agreed loss, not the newest"
    )
    which.add_argument(
        "--round", type=whole(0), metavar="N", help="show the model of round N; a home keeps the newest and the best"
    )
    add_json(show)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ...errors import PeerError
    from ...learning.app import AppError
    from ...reporting.agreed_models import read_agreed
    from ...training.own_figures import own_figures

    agreed = read_agreed(home_of(given), round=given.round, best=given.best)
    own, trouble = None, ""
    try:
        own = own_figures(agreed)
        trouble = "" if own.rows else f"{own.table}: no row is kept for testing (--test-fraction)"
    except (PeerError, AppError) as error:
        trouble = str(error)
    facts = _facts(agreed) | {"own": None, "alone": None, "trouble": trouble}
    if own is not None and own.rows:
        facts |= {"own": {"table": own.table, "rows": own.rows, **(own.federated or {})}}
        facts |= {"alone": None if own.alone is None else {"rows": own.rows, **own.alone}}
    if given.json:
        print_json(facts)
        return 0
    from ...learning.tables.troubles import on_one_line
    from ...reporting.status import printable

    for line in _lines(facts):
        print(printable(on_one_line(line)))
    if trouble:
        print(f"peer: note: no figures on your own rows: {trouble}", file=sys.stderr)
    return 0


def _facts(agreed: "Agreed") -> Json:
    score = agreed.score
    members, before = _members(agreed, score), None
    if members is None and agreed.before is not None:
        before = {"round": agreed.before.round, **(_members(agreed, agreed.before) or {})}
    return {
        "federation": agreed.state.federation.hex(),
        "weights": agreed.saved.weights_hash.hex(),
        "round": score.round,
        "trained": score.trained,
        "rounds": agreed.state.options.rounds,
        "best": agreed.best is not None and agreed.best.weights == agreed.saved.weights_hash,
        "members": members,
        "before": before,
        "to_come": _to_come(agreed, score),
    }


def _to_come(agreed: "Agreed", score: "Scored") -> list[str]:
    """Return the figures over all members' rows that this model lacks because only the final model has them."""
    from ...learning.metrics import figures_to_come

    genesis = agreed.state.genesis
    is_evaluated = {*genesis.final_metrics} <= score.metrics.keys()
    return [] if is_evaluated else figures_to_come(genesis.model, genesis.final_metrics)


def _members(agreed: "Agreed", score: "Scored") -> Json | None:
    """Return a model's figures over all members' test rows; None as long as they are not measured."""
    from ...learning.metrics import figures_json

    if score.loss is None or score.whose is None:
        return None
    figures = figures_json(agreed.state.genesis.model, score.loss, score.metrics, score.whose.rows)
    # For an app Coterie derives no figures: all that it reports is shown.
    return score.whose.json() | (figures or {"numbers": {"loss": score.loss, **score.metrics}})


def _lines(facts: Json) -> Iterator[str]:
    of = f" of {facts['rounds']}" if facts["rounds"] else ""
    best = ", the best so far" if facts["best"] else ""
    yield f"the model of round {facts['round']}, after {facts['trained']}{of} rounds of training{best}"
    keys = {"members": "members", "before": "before", "ours": "own", "alone": "alone"}
    columns = {name: facts[key] for name, key in keys.items()}
    columns = {name: one for name, one in columns.items() if one is not None}
    yield ""
    yield from _table(columns)
    yield ""
    yield from _legend(facts)
    for name, one in columns.items():
        yield from _confusion(name, one)
        yield from _by_class(name, one)
    # Calibration is shown of one column, members' if that is known: in the bins of one site alone there are few rows.
    of_this_model = {name: one for name, one in columns.items() if name != "before"}
    yield from _calibration(*next(iter((of_this_model or columns).items()), ("", {})))


def _table(columns: dict[str, Json]) -> Iterator[str]:
    """Yield a table: a row for each figure, a column for each of members, before, ours and alone that is known."""
    from ...learning.metrics import label

    if not columns:
        return
    names = dict.fromkeys(name for one in columns.values() for name in one["numbers"])
    width = max(20, *(len(label(name)) + 2 for name in names))
    yield " " * width + "".join(f"{name:>12}" for name in columns)
    yield f"{'test rows':<{width}}" + "".join(f"{one['rows']:>12}" for one in columns.values())
    for name in names:
        cells = (one["numbers"].get(name) for one in columns.values())
        yield f"{label(name):<{width}}" + "".join(
            f"{'' if cell is None else format(cell, '.4g'):>12}" for cell in cells
        )


def _number(numbers: dict[str, float], name: str) -> str:
    return f"{numbers[name]:.4g}" if name in numbers else ""


def _legend(facts: Json) -> Iterator[str]:
    from ...learning.metrics import label

    members, before, own = facts["members"], facts["before"], facts["own"]
    if members is None:
        yield "members: not measured yet; the next round measures this model, where members keep rows for testing"
    else:
        yield f"members: {_whose(members)}, out of the secure sums"
    if facts["to_come"]:
        names = ", ".join(map(label, facts["to_come"]))
        yield f"         {names}: added up over all members' rows once, of the model after the last round"
    if before is not None:
        yield f"before:  the last model that was measured, that of round {before['round']}, {_whose(before)}"
    if own is not None:
        yield f"ours:    this model over the {own['rows']} test rows of {own['table']}; told to nobody else"
    if facts["alone"] is not None:
        yield f"alone:   a model of your other rows only, after {facts['trained']} rounds, over the same test rows"
    positive = next(
        (one["positive"] for one in (members, before, own) if one is not None and one.get("positive")), None
    )
    if positive is not None:
        yield f"Sensitivity and the like are of {positive!r}, the second class."
    classes = next((len(one.get("classes", ())) for one in (members, before, own) if one is not None), 0)
    if classes == _MOST_WITH_AREAS:
        yield "AUC is the mean of each class against the others."
    elif classes > _MOST_WITH_AREAS:
        yield f"No AUC: of {classes} classes it takes more sums than a federation adds up."


def _whose(one: Json) -> str:
    from ...learning.row_owners import RowOwners

    return RowOwners(one["rows"], one["members"], one["away"]).text()


def _confusion(name: str, one: Json) -> Iterator[str]:
    if not one.get("confusion"):
        return
    classes = one["classes"]
    width = max(12, *(len(label) + 2 for label in classes))
    yield ""
    yield f"{name}, rows by true class (down) and predicted class (across)"
    yield " " * width + "".join(f"{label:>{width}}" for label in classes)
    for label, line in zip(classes, one["confusion"], strict=True):
        yield f"{label:<{width}}" + "".join(f"{count:>{width}.0f}" for count in line)


def _by_class(name: str, one: Json) -> Iterator[str]:
    from ...learning.metrics import RATES, label

    if not one.get("by_class"):
        return
    width = max(12, *(len(label) + 2 for label in one["by_class"]))
    shown = [rate for rate in ("auc", *RATES) if any(rate in rates for rates in one["by_class"].values())]
    yield ""
    yield f"{name}, each class against the others"
    yield " " * width + "".join(f"{label(rate):>12}" for rate in shown)
    for known, rates in one["by_class"].items():
        yield f"{known:<{width}}" + "".join(f"{_number(rates, rate):>12}" for rate in shown)


def _calibration(name: str, one: Json) -> Iterator[str]:
    if not one.get("calibration"):
        return
    yield ""
    yield f"{name}, of the rows with a predicted probability of {one['positive']!r} between"
    for each in one["calibration"]:
        span = f"{each['from']:g} and {each['to']:g}:"
        yield f"{span:>20} {each['rows']:>7.0f} rows, {100 * each['observed']:.1f} % of them are"
