"""The plan of a Flower project: what its server would tell the clients.

There is no server, but the project's ServerApp is run until it starts its strategy. The arguments of that start are the
plan: initial arrays, configurations, rounds. Nothing here does a server's work, so a plan is accepted only from a
strategy whose server takes the weighted mean and does nothing else. Parts of Flower that are not public are replaced
for this, so only the release `RELEASE` is accepted.
"""

import inspect
import logging
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.system.extras import MissingPackage, load_typing

__all__ = ["INSTALL", "LEGACY", "MESSAGES", "Plan", "Project", "check_release", "flwr", "plan_of", "read_project"]

RELEASE: Final = "1.42.0"
"""The release of Flower that the tests ran with."""

INSTALL: Final = f"pip install --no-deps flwr=={RELEASE} click==8.5.1 iterators==0.0.2 tomli==2.5.0 typer==0.20.1"
"""Installs Flower beside Coterie.

An extra cannot do this: flwr asks for pycryptodome below 4 and rich below 15, and Coterie needs newer ones. The modules
of flwr that are used here run with the newer ones. They import four packages that Coterie does not install; all
others are left out.
"""

MESSAGES: Final = "messages"
"""The API of a ClientApp with functions of messages."""

LEGACY: Final = "legacy"
"""The API of a NumPyClient, or another client that a `client_fn` makes."""

_STRATEGIES: Final = ("FedAvg", "FedProx")
"""The strategies whose servers only take the mean. The proximal term of FedProx is the clients' work."""

log = logging.getLogger("coterie.app")


@dataclass(frozen=True, slots=True)
class Project:
    """The contents of a project's pyproject.toml."""

    name: str
    version: str
    client: str
    """Its ClientApp, as module:object."""
    server: str
    """Its ServerApp."""
    config: dict[str, Any]
    """The run configuration; the names of nested tables are joined by dots."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server would tell the clients."""

    api: str
    """`MESSAGES` or `LEGACY`."""
    strategy: str
    """The name of the strategy's class."""
    arrays: dict[str, npt.NDArray[Any]]
    """The initial arrays by name; empty if a client makes them."""
    rounds: int
    """The number of rounds that the project asks for."""
    train: Any
    """A function from the number of a round to the configuration of its training."""
    evaluate: Any
    """The same for the evaluation; None if nothing is evaluated."""
    keys: tuple[str, str, str]
    """The keys of the arrays and of the configuration in a message, and of the number of examples in a reply."""


def flwr(module: str) -> Any:
    """A module of Flower.

    Raises:
        MissingPackage: it cannot be imported; says what to type.
    """
    return load_typing(module, "--flower", INSTALL)


def check_release() -> None:
    """Check that the needed release of Flower is installed.

    Raises:
        MissingPackage: it is not; says what to type.
    """
    flwr("flwr")
    if (found := metadata.version("flwr")) != RELEASE:
        raise MissingPackage(f"--flower needs the package flwr {RELEASE}, and {found} is installed; type: {INSTALL}")


def read_project(folder: Path) -> Project:
    """Read a project's pyproject.toml.

    Raises:
        AppError: there is none, or it is not that of a project of Flower.
    """
    file = folder / "pyproject.toml"
    try:
        facts = tomllib.loads(file.read_text(encoding="utf-8"))
        app = facts["tool"]["flwr"]["app"]
        parts = app["components"]
        config = dict(_joined(app.get("config", {})))
        about = facts["project"]
        return Project(str(about["name"]), str(about["version"]), parts["clientapp"], parts["serverapp"], config)
    except (OSError, ValueError) as error:
        raise AppError(f"the pyproject.toml of a Flower project is needed: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise AppError(f"{file}: it lacks {error}, which a Flower project has") from None


def plan_of(server: Any, context: Any) -> Plan:
    """Run a ServerApp until it starts its strategy, and return the plan.

    Raises:
        AppError: the strategy's server would do more than take the mean, or the ServerApp starts no strategy.
    """
    started = _started(server, context)
    strategy = started["strategy"]
    kind = type(strategy)
    if not kind.__module__.startswith("flwr.") or kind.__name__ not in _STRATEGIES:
        raise AppError(
            f"the strategy {kind.__name__} would be lost: there is no server, and members take the weighted mean of"
            f" their updates; take {' or '.join(_STRATEGIES)}"
        )
    return _legacy(**started) if "config" in started else _messages(**started)


class _StrategyStartedError(BaseException):
    """Ends a ServerApp. A BaseException, so that no `except Exception` of the ServerApp catches it."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__("the strategy was started")
        self.given = given


def _started(server: Any, context: Any) -> dict[str, Any]:
    """The arguments with which a ServerApp starts its strategy.

    Raises:
        AppError: it starts none, or wants a server.
    """
    kind = flwr("flwr.serverapp.strategy").Strategy
    asked = inspect.signature(kind.start)

    def start(*given: Any, **named: Any) -> None:
        bound = asked.bind(*given, **named)
        bound.apply_defaults()
        raise _StrategyStartedError({"strategy": bound.arguments.pop("self"), "start": bound.arguments})

    def start_grid(*, server: Any = None, strategy: Any = None, config: Any = None, **_: Any) -> None:
        if server is not None:
            raise AppError(f"its {type(server).__name__} would be lost: there is no server")
        default = flwr("flwr.server.strategy").FedAvg
        raise _StrategyStartedError({"strategy": strategy or default(), "config": config})

    try:
        with (
            _replaced(kind, "start", start),
            _replaced(flwr("flwr.serverapp.server_app"), "start_grid", start_grid),
        ):
            server(_Grid(), context)
    except _StrategyStartedError as started:
        return started.given
    raise AppError("its ServerApp ended without starting a strategy, so nothing says what to train")


class _Grid:
    """Stands for the object through which a ServerApp sends messages. Any use of it raises AppError."""

    def __getattr__(self, name: str) -> Any:
        raise AppError(
            f"its ServerApp calls grid.{name}() itself: there is no server, so that only what it hands to the `start`"
            f" of a strategy can be trained; take {' or '.join(_STRATEGIES)}"
        )


def _messages(strategy: Any, start: Mapping[str, Any]) -> Plan:
    """The plan of a strategy of messages; `start` has the arguments of its method of this name."""
    means = flwr("flwr.serverapp.strategy.strategy_utils").aggregate_metricrecords
    _tell_lost(
        {
            f"fraction_train={strategy.fraction_train}": strategy.fraction_train < 1,
            "evaluate_fn": start["evaluate_fn"] is not None,
            "train_metrics_aggr_fn": strategy.train_metrics_aggr_fn is not means,
            "evaluate_metrics_aggr_fn": strategy.evaluate_metrics_aggr_fn is not means,
        }
    )
    of_strategy = {"proximal-mu": strategy.proximal_mu} if hasattr(strategy, "proximal_mu") else {}
    trained, evaluated = {**(start["train_config"] or {}), **of_strategy}, dict(start["evaluate_config"] or {})
    return Plan(
        MESSAGES,
        type(strategy).__name__,
        {name: array.numpy() for name, array in start["initial_arrays"].items()},
        start["num_rounds"],
        lambda round: {**trained, "server-round": round},
        (lambda round: {**evaluated, "server-round": round}) if strategy.fraction_evaluate else None,
        (strategy.arrayrecord_key, strategy.configrecord_key, strategy.weighted_by_key),
    )


def _legacy(strategy: Any, config: Any) -> Plan:
    """The plan of a strategy of the older API."""
    _tell_lost(
        {
            f"fraction_fit={strategy.fraction_fit}": strategy.fraction_fit < 1,
            "evaluate_fn": strategy.evaluate_fn is not None,
            "fit_metrics_aggregation_fn": strategy.fit_metrics_aggregation_fn is not None,
            "evaluate_metrics_aggregation_fn": strategy.evaluate_metrics_aggregation_fn is not None,
        }
    )
    of_strategy = {"proximal_mu": strategy.proximal_mu} if hasattr(strategy, "proximal_mu") else {}
    first = strategy.initial_parameters
    arrays = [] if first is None else flwr("flwr.common").parameters_to_ndarrays(first)
    trained, evaluated = strategy.on_fit_config_fn, strategy.on_evaluate_config_fn
    return Plan(
        LEGACY,
        type(strategy).__name__,
        {str(place): np.asarray(array) for place, array in enumerate(arrays)},
        getattr(config, "num_rounds", 1),
        lambda round: {**(trained(round) if trained else {}), **of_strategy},
        (lambda round: dict(evaluated(round)) if evaluated else {}) if strategy.fraction_evaluate else None,
        ("", "", ""),
    )


def _tell_lost(said: Mapping[str, bool]) -> None:
    """Warn the operator of options of a strategy that have no effect without a server."""
    if lost := [name for name, is_lost in said.items() if is_lost]:
        log.warning(
            "%s: without a server nothing of this is done; all members train and are evaluated in each round, and"
            " metrics are means over their examples",
            ", ".join(lost),
        )


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _joined(config: Mapping[str, Any], head: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _joined(value, f"{head}{name}.")
        else:
            yield f"{head}{name}", value
