"""docs/learning.md tells the defaults that the code has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from coterie.peer.federation.founding import default_examples_cap
from coterie.peer.home.settings import Settings
from coterie.peer.learning.table_models.models import _MOMENTUM, Network, Training
from coterie.peer.learning.table_models.task import DEFAULT_HIDDEN
from coterie.peer.training.trainer import DEFAULT_MODEL

PAGE = (Path(__file__).parents[3] / "docs" / "learning.md").read_text()

NETWORKS = {
    "linear": Network(10),
    "logistic": Network(10, classes=2),
    "mlp": Network(10, DEFAULT_HIDDEN),
}
"""Tables of usual width."""


def cells(first: str) -> Iterator[list[str]]:
    """The lines below the head of the table whose first column is called so, cell by cell."""
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[ |-]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for line in table.splitlines():
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def of_each(name: str) -> str:
    """A default of the training that depends on the model."""
    plans = {kind: Training.for_network(network) for kind, network in NETWORKS.items()}
    return ", ".join(f"`{kind}` {getattr(plan, name):g}" for kind, plan in plans.items())


def defaults() -> dict[str, str]:
    """What the page has to say of each option, by the code."""
    kept = Settings()
    plan = Training()
    assert default_examples_cap(100) == 512, "four times as many, up to a power of two"
    assert {Training.for_network(network).batch_rows for network in NETWORKS.values()} == {plan.batch_rows}
    return {
        "--model": f"`{DEFAULT_MODEL}`",
        "--hidden": f"`{','.join(map(str, DEFAULT_HIDDEN))}`",
        "--rounds": "until stopped" if kept.rounds == 0 else f"`{kept.rounds}`",
        "--patience": "never" if kept.patience == 0 else f"`{kept.patience}`",
        "--min-delta": f"`{kept.min_delta:g}`",
        "--class-weights": "`1` for each class" if kept.class_weights == () else "",
        "--learning-rate": of_each("rate"),
        "--steps": of_each("steps"),
        "--batch": f"`{plan.batch_rows}`",
        "--test-fraction": f"`{kept.test_fraction:g}`",
        "--seed": f"`{kept.seed}`",
        "--norm": f"`{kept.norm}`",
        "--clip": f"`{kept.clip:g}`",
        "--examples-cap": "four times the founder's rows",
        "--min-peers": f"`{kept.min_peers}`",
        "--share-deadline": f"`{kept.share_deadline:g}`",
        "--round-time": "by `--steps`" if kept.round_time == 0 else "",
        "--round-interval": f"`{kept.round_interval:g}`",
    }


def test_the_defaults_on_the_page_are_those_of_the_code() -> None:
    assert {option.strip("`"): default for option, default, *_ in cells("option")} == defaults()


def test_the_settings_without_an_option_are_those_of_the_code() -> None:
    told = {name.partition(" ")[0].strip(":,"): numbers for name, *numbers in cells("setting")}
    flat, deep = (Training.for_network(NETWORKS[kind]) for kind in ("logistic", "mlp"))
    assert flat.ridge == Training.for_network(NETWORKS["linear"]).ridge
    assert told == {
        "momentum": [f"{_MOMENTUM:g}"] * 2,
        "ridge": [f"{flat.ridge:g}", f"{deep.ridge:g}"],
        "slowing": [f"{flat.slowing:g}", f"{deep.slowing:g}"],
        "longest": [f"{flat.max_gradient:g}", f"{deep.max_gradient:g}"],
    }


@pytest.mark.parametrize(
    ("network", "wider"),
    [
        (Network(49), Network(50)),
        (Network(79, classes=2), Network(80, classes=2)),
        (Network(39, classes=3), Network(40, classes=3)),
        (Network(64, (64,)), Network(65, (64,))),
        (Network(10, (64,)), Network(10, (65,))),
    ],
)
def test_the_rate_falls_from_the_width_on_that_the_page_names(network: Network, wider: Network) -> None:
    usual = NETWORKS["mlp"] if network.hidden else NETWORKS["logistic" if network.classes else "linear"]
    assert Training.for_network(network).rate == Training.for_network(usual).rate
    assert Training.for_network(wider).rate < Training.for_network(usual).rate
