"""The options of a simulation, and the construction of a federation from them."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import networkx as nx

from ..protocol.ledger.committee import Committee
from ..protocol.ledger.genesis import bounds_of
from ..protocol.limits import MAX_PARAMETERS, MAX_PROVED_MEMBERS
from ..protocol.node import Node
from ..protocol.scheme_registry import DEFAULT_SCHEME, SCHEMES
from ..protocol.schemes import scheme_of
from .adversaries import STRATEGIES
from .engine.costs import Costs
from .engine.founded_ledger import make_genesis
from .engine.ideal_crypto import IdealNode, Vault
from .engine.learning import Learning
from .engine.simulation import Setup, Simulation
from .engine.training import Flat, Trainer
from .faults.faults import Churn, Outage, Outages
from .faults.partitions import PARTITIONS
from .invariants.watching import Watch
from .network.graphs import LinkDefaults, TopologyError, fill, make, peers_of
from .reporting.recorder import Recorder, RoundRow
from .reporting.result import Result, result_of

MAX_REAL_PARAMETERS = 1_000
"""Most parameters of a model that ideal shares really simulate; a larger one is only charged for, in size and time."""


class OptionError(ValueError):
    """Options that make no simulation; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a simulation. Every default is sensible."""

    topology: str = "small-world"
    peers: int = 12
    degree: int = 0
    """Links of each site in a regular graph or small world; 0 for the default."""
    rounds: int = 10
    links: LinkDefaults = field(default_factory=LinkDefaults)
    churn: float = 0.0
    """Share of the time that each peer is down."""
    flapping: float = 0.0
    """Share of the time that each link is down."""
    outages: tuple[Outage, ...] = ()
    byzantine: tuple[str, ...] = ()
    """Each is COUNT:STRATEGY or SITE=STRATEGY; several strategies of one site are joined by ``+``."""
    beyond_f: bool = False
    """Allow more liars than agreement tolerates."""
    partition: str = ""
    """Name of a partition script; empty for none."""
    seed: int = 0
    parameters: int = 10_000
    """Size of the model; with ``learn`` it follows from the data set."""
    train_ms: float = 500.0
    threshold: int = 0
    """K, the shares that open a sum; 0 for the default."""
    scheme: str = DEFAULT_SCHEME
    norm: str = "off"
    """The bound of updates that dealings prove: off, auto, or a number."""
    ideal_crypto: bool = False
    """Whether a trusted party replaces the shares; see :mod:`.engine.ideal_crypto`."""
    learn: str = ""
    """Name of a data set to learn; empty for no learning."""
    skew: float = 0.0
    """How unevenly labels are spread over the sites: 0 for evenly, 1 for as few labels at each as possible."""
    share_deadline_ms: int = 20_000
    view_timeout_ms: int = 3_000
    clock_skew_ms: int = 100
    limit_ms: int = 3_600_000
    """Virtual time after which the simulation gives up."""


def simulate(
    graph: nx.Graph | None = None,
    progress: Callable[[RoundRow], None] | None = None,
    options: Options | None = None,
    **changes: Any,
) -> Result:
    """Simulate a federation and return the result.

    >>> result = simulate(topology="star", peers=5, rounds=2, ideal_crypto=True)
    >>> [row["outcome"] for row in result.table()]
    ['decided', 'decided']

    Args:
        graph: any networkx graph with the attributes of :mod:`.network.graphs`; None for that of ``topology`` and
            ``peers``.
        progress: called with each round when it has ended.
        options: the options; None for the defaults.
        changes: fields of :class:`Options` to set beside.

    Raises:
        TopologyError: a network that no federation can run on.
        OptionError: options that contradict each other; the message says what would work.
    """
    options = replace(options or Options(), **changes)
    simulation, recorder = build(graph, options, progress)
    finished = simulation.run(options.limit_ms)
    return result_of(options, simulation, recorder, finished)


def build(
    graph: nx.Graph | None, options: Options, progress: Callable[[RoundRow], None] | None = None
) -> tuple[Simulation, Recorder]:
    """Put a simulation together without running it; raises as :func:`simulate`."""
    if graph is None:
        graph = make(options.topology, options.peers, options.seed, options.links, options.degree)
    else:
        graph = fill(graph, options.seed, options.links)
    peers = len(peers_of(graph))
    _check(options, peers)
    simulation = Simulation(graph, _setup(options, peers))
    place_liars(simulation, options.byzantine, options.beyond_f)
    recorder = Recorder(timeline_round=min(2, options.rounds), progress=progress)
    simulation.watch(recorder)
    recorder.watch = Watch(simulation)
    if options.churn or options.flapping:
        simulation.watch(Churn(options.churn, options.flapping))
    if options.outages:
        outages = Outages(options.outages)
        outages.check(simulation.links)
        simulation.watch(outages)
    if options.partition:
        simulation.watch(PARTITIONS[options.partition]())
    return simulation, recorder


def memory_bytes(options: Options, peers: int) -> int:
    """Return about how many bytes of real shares a run will hold; 0 where it holds none, or a small model's."""
    if options.ideal_crypto or options.learn:
        return 0
    committee = Committee(tuple(number.to_bytes(32, "big") for number in range(peers)), options.threshold)
    return scheme_of(options.scheme, committee).simulated_bytes(options.parameters)


def _check(options: Options, peers: int) -> None:
    if options.scheme not in SCHEMES:
        raise OptionError(f"no scheme {options.scheme!r}; there are {', '.join(SCHEMES)}")
    if options.norm != "off" and not SCHEMES[options.scheme].proves_dealings:
        raise OptionError(f"norm {options.norm}: dealings of {options.scheme} prove nothing")
    if options.rounds < 1:
        raise OptionError(f"{options.rounds} rounds: at least one is needed")
    if options.parameters < 1:
        raise OptionError(f"{options.parameters} parameters: a model has at least one")
    if options.parameters > MAX_PARAMETERS:
        raise OptionError(f"{options.parameters:,} parameters: a model has no more than {MAX_PARAMETERS:,}")
    if options.seed < 0:
        raise OptionError(f"seed {options.seed}: seeds are whole numbers from 0")
    if options.skew and not options.learn:
        raise OptionError("skew is of labels, and without learn there are none: say what to learn, for example digits")
    if options.limit_ms < 1:
        raise OptionError("no virtual time to simulate: the limit is to be longer, for example 1h")
    f = (peers - 1) // 3
    least, most = max(2, f + 1), max(2, min(peers - f, peers - 1))
    if options.threshold and not least <= options.threshold <= most:
        raise OptionError(f"threshold {options.threshold}: {peers} peers take {least} to {most}, or 0 for the default")
    if not 0 <= options.churn <= 0.9 or not 0 <= options.flapping <= 0.9:
        raise OptionError("churn and flapping are shares of the time, from 0 to 0.9")
    if options.partition and options.partition not in PARTITIONS:
        raise OptionError(f"no partition {options.partition!r}; there are {', '.join(PARTITIONS)}")


def _setup(options: Options, peers: int) -> Setup:
    trainer: Trainer = Flat()
    metrics: tuple[str, ...] = ()
    simulated = options.parameters
    if options.ideal_crypto:
        simulated = min(options.parameters, MAX_REAL_PARAMETERS)
    if options.learn:
        trainer = Learning(options.learn, peers, options.skew, options.seed)
        simulated, metrics = trainer.parameters, ("accuracy",)
    bounds = bounds_of(options.norm)
    if bounds is not None and peers > MAX_PROVED_MEMBERS:
        raise OptionError(f"norm {options.norm}: at most {MAX_PROVED_MEMBERS} members can prove their updates")
    genesis, weights = make_genesis(
        simulated,
        peers,
        metrics=metrics,
        rounds=options.rounds,
        scheme=options.scheme,
        threshold=options.threshold,
        bounds=bounds,
        share_deadline_ms=options.share_deadline_ms,
        view_timeout_ms=options.view_timeout_ms,
    )
    node: Callable[..., Node] = Node
    charged = None
    if options.ideal_crypto:
        node, charged = partial(IdealNode, Vault()), simulated if options.learn else options.parameters
    return Setup(
        genesis,
        weights,
        seed=options.seed,
        rounds=options.rounds,
        costs=Costs(train_ms=options.train_ms),
        parameters=charged,
        node=node,
        trainer=trainer,
        skew_ms=options.clock_skew_ms,
    )


def place_liars(simulation: Simulation, byzantine: tuple[str, ...], beyond_f: bool = False) -> None:
    """Make sites Byzantine, as texts such as ``2:wrong-share`` say; see :attr:`Options.byzantine`.

    Raises:
        OptionError: an unknown strategy or site, or more liars than there are sites or than agreement tolerates.
    """
    rng = random.Random(f"liars {simulation.seed}")
    free = list(simulation.sites)
    rng.shuffle(free)
    for text in byzantine:
        names = _strategies(text)
        for site in _chosen(text, free):
            free.remove(site)
            site.adversaries = tuple(STRATEGIES[name](simulation, site) for name in names)
    liars = len(simulation.sites) - len(simulation.honest)
    n = len(simulation.sites)
    f = Committee(tuple(site.key for site in simulation.sites)).f
    if liars > f and not beyond_f:
        raise OptionError(
            f"{liars} liars among {n} peers, but agreement bears f = {f}: take at most {f}, or {3 * liars + 1} peers; "
            "--beyond-f simulates it all the same"
        )


def _strategies(text: str) -> list[str]:
    names = re.split(r"[:=]", text, maxsplit=1)[-1].split("+")
    for name in names:
        if name not in STRATEGIES:
            raise OptionError(f"no strategy {name!r}; there are {', '.join(STRATEGIES)}")
    return names


def _chosen(text: str, free: list[Any]) -> list[Any]:
    site, equals, _ = text.partition("=")
    if equals:
        chosen = [one for one in free if str(one.label) == site]
        if not chosen:
            raise OptionError(f"{text!r}: no site {site!r} that is not Byzantine already")
        return chosen
    count, colon, _ = text.partition(":")
    if not colon or not count.isdigit():
        raise OptionError(f"{text!r}: give COUNT:STRATEGY or SITE=STRATEGY, for example 2:wrong-share")
    if int(count) > len(free):
        raise OptionError(f"{text!r}: only {len(free)} honest sites are left")
    return free[: int(count)]


__all__ = ["OptionError", "Options", "TopologyError", "build", "place_liars", "simulate"]
