"""`peer simulate`: a whole federation on this machine, in virtual time."""

import argparse
import importlib.util
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....protocol.scheme_registry import DEFAULT_SCHEME, SCHEMES
from ...errors import Exit, PeerError
from ..arguments.shared_options import Subcommands
from ..arguments.values import norm, path_name

if TYPE_CHECKING:
    from ....topology.engine.simulation import Simulation
    from ....topology.options import Options
    from ....topology.reporting.recorder import RoundRow
    from ....topology.reporting.result import Result
    from ....topology.resilience import Trial
    from ...page.film import Film

Group = argparse._ArgumentGroup  # it has no public name

_EPILOG = """\
examples:
  peer simulate
  peer simulate --topology small-world --peers 20 --rounds 30 --latency 20..80ms --churn 0.05 --byzantine 2:wrong-share
  peer simulate --graph sites.graphml --down "Lyon at 10s for 30s" --learn digits --skew 0.8 --out pictures
"""

PAGE = "simulation.html"
"""The page with the run inside, in --out."""

LARGE_BYTES = 500_000_000
"""Memory above which a run says beforehand how much it will take."""


_STRATEGIES_HERE = "STRATEGIES"
"""Stands at the end of a help text in place of the names of all strategies."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Puts the names of the liars' strategies into the help; they are imported only when it is shown."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = super()._get_help_string(action)
        if text is None or not text.endswith(_STRATEGIES_HERE):
            return text
        from ....topology.adversaries import STRATEGIES

        return text.removesuffix(_STRATEGIES_HERE) + ", ".join(STRATEGIES)


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    help = "simulate a federation: any network, any clock, any adversary"
    command = subcommands.add_parser(
        "simulate",
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=_EPILOG,
        formatter_class=_Formatter,
    )
    command.set_defaults(run=run)
    _add_network(command.add_argument_group("network"))
    _add_task(command.add_argument_group("task"))
    _add_trouble(command.add_argument_group("trouble"))
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same run (default: %(default)s)")
    command.add_argument("--limit", default="1h", metavar="TIME", help="virtual time to give up after (default: 1h)")
    command.add_argument(
        "--json",
        type=path_name,
        metavar="FILE",
        help="where to write everything (default: simulation.json, here or in --out)",
    )
    command.add_argument(
        "--out",
        type=path_name,
        metavar="DIR",
        help="folder for the JSON file, pictures, and a page that shows the run step by step",
    )
    command.add_argument(
        "--view", metavar="SITE", help="the site that the page in --out is of (default: the first honest one)"
    )
    command.add_argument("--quiet", action="store_true", help="print the table only")
    command.set_defaults(untouched=command.parse_args([]))


def _add_network(group: Group) -> None:
    group.add_argument(
        "--topology",
        metavar="NAME",
        help="complete, ring, star, regular, "
        "small-world, scale-free, geometric, grid or hierarchy (default: small-world)",
    )
    group.add_argument("--peers", type=int, metavar="N", help="default: 12")
    group.add_argument("--degree", type=int, metavar="K", help="links of each peer in a regular graph or small world")
    group.add_argument(
        "--graph",
        type=path_name,
        metavar="FILE",
        help="a GraphML, GML, GEXF, Pajek, adjacency-list or edge-list file instead",
    )
    group.add_argument("--latency", default="20..80ms", help="one way, a link (default: %(default)s)")
    group.add_argument("--jitter", default="5ms", help="default: %(default)s")
    group.add_argument("--bandwidth", default="100mbit", help="of a link, each way (default: %(default)s)")
    group.add_argument("--loss", default="0", help="share of packets lost (default: %(default)s)")


def _add_task(group: Group) -> None:
    group.add_argument("--rounds", type=int, default=10, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--parameters", type=int, metavar="N", help="of the model (default: 10000, or what --learn takes)"
    )
    group.add_argument(
        "--train", default="500ms", metavar="TIME", help="local training of a round (default: %(default)s)"
    )
    group.add_argument("--scheme", default=DEFAULT_SCHEME, choices=tuple(SCHEMES), help="default: %(default)s")
    bound = "as of peer start: off, auto, or a bound of updates that dealings prove (off)"
    group.add_argument("--norm", type=norm, default="off", metavar="C", help=bound)
    group.add_argument("--threshold", type=int, default=0, metavar="K", help="shares that open a sum (default: n - 2f)")
    group.add_argument("--ideal-crypto", action="store_true", help="real messages and sizes, no heavy arithmetic")
    group.add_argument("--learn", default="", metavar="DATA", help="learn digits, iris, wine or breast-cancer")
    group.add_argument("--skew", default="0", help="how unevenly labels are spread, 0 to 1 (default: %(default)s)")


def _add_trouble(group: Group) -> None:
    group.add_argument("--churn", default="0", metavar="SHARE", help="share of the time that each peer is down")
    group.add_argument("--flapping", default="0", metavar="SHARE", help="share of the time that each link is down")
    group.add_argument(
        "--down",
        action="append",
        default=[],
        metavar='"SITE at 10s for 30s"',
        help="an outage of a site, or of a link written A--B (repeatable)",
    )
    group.add_argument(
        "--byzantine",
        action="append",
        default=[],
        metavar="COUNT:STRATEGY",
        help="liars, also SITE=STRATEGY, several with + (repeatable); the strategies: " + _STRATEGIES_HERE,
    )
    group.add_argument("--beyond-f", action="store_true", help="allow more than f liars")
    group.add_argument(
        "--partition",
        default="",
        metavar="NAME",
        help="cut the network: halves, one-away, "
        "proposer-away, flapping, one-way, ring-only, bridge, at-votes, lone-decision, after-decision, mid-release, "
        "during-join or restart-cut",
    )


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ....topology.options import build
    from ....topology.reporting.result import result_of

    if all(getattr(given, name) == value for name, value in vars(given.untouched).items()):
        _show_something(given)
    try:
        graph, options = _read(given)
        simulation, recorder = build(graph, options, None if given.quiet else _Progress(options.rounds))
        place = _place(given)
        film = _film(given, simulation)
        if not given.quiet:
            _introduce(given, graph, options)
        began = time.perf_counter()
        try:
            finished = simulation.run(options.limit_ms)
        except KeyboardInterrupt:  # shown, but not written: the file has to be the same for the same options
            result = replace(result_of(options, simulation, recorder, False), unfinished="interrupted")
            _print(result, time.perf_counter() - began)
            raise
        result = result_of(options, simulation, recorder, finished)
        _print(result, time.perf_counter() - began)
        if given.out:
            result = _with_resilience(graph, options, result, given.quiet)
    except ValueError as error:  # all errors in options and graph are of this kind, and say what would work
        raise PeerError(str(error)) from None
    if film is not None:
        lies = [(site.key, "+".join(one.name for one in site.adversaries)) for site in simulation.sites]
        made = film.json(result.elapsed_ms, [(key, how) for key, how in lies if how], result.summary())
        _write_page(Path(given.out) / PAGE, made)
    _write(given, result, place)
    return int(Exit.OK if result.finished and result.is_sound else Exit.CHECK_FAILED)


def _film(given: argparse.Namespace, simulation: "Simulation") -> "Film | None":
    """Have a site's view of the run kept for the page, if there is to be one."""
    if not given.out:
        if given.view is not None:
            raise PeerError("--view: the page that shows the run goes into --out; give that, too")
        return None
    from ....topology.viewpoint import Viewpoint, site_to_view
    from ...page.film import Film

    site = site_to_view(simulation, given.view)
    labels = {one.key: str(one.label) for one in simulation.sites}
    film = Film(simulation.setup.genesis, site.disk.blocks, site.key, labels)
    simulation.watch(Viewpoint(simulation, site, film))
    return film


def _show_something(given: argparse.Namespace) -> None:
    """Without options, let peers crash, one of them lie, and train a real model if scikit-learn is installed."""
    given.churn, given.byzantine = "20%", ["1:wrong-share"]
    said = "--churn 20% --byzantine 1:wrong-share"
    if importlib.util.find_spec("sklearn") is not None:
        given.learn = "digits"
        said += " --learn digits"
    print(f"No options: this is the same as peer simulate {said}")


def _read(given: argparse.Namespace) -> tuple[Any, "Options"]:
    from ....topology import units
    from ....topology.network import graph_files, graphs
    from ....topology.options import Options

    _refuse_contradictions(given)
    links = graphs.LinkDefaults(
        latency_ms=units.read_range_ms(given.latency),
        jitter_ms=round(units.read_milliseconds(given.jitter)),
        bandwidth_mbit=units.read_bandwidth_mbit(given.bandwidth),
        loss=units.read_share(given.loss),
    )
    chosen = ("topology", "peers", "degree", "parameters")  # where not given, the defaults of Options hold
    options = Options(
        **{name: getattr(given, name) for name in chosen if getattr(given, name) is not None},
        rounds=given.rounds,
        links=links,
        churn=units.read_share(given.churn),
        flapping=units.read_share(given.flapping),
        outages=tuple(units.read_outage(text) for text in given.down),
        byzantine=tuple(given.byzantine),
        beyond_f=given.beyond_f,
        partition=given.partition,
        seed=given.seed,
        train_ms=units.read_milliseconds(given.train),
        threshold=given.threshold,
        scheme=given.scheme,
        norm=given.norm,
        ideal_crypto=given.ideal_crypto,
        learn=given.learn,
        skew=units.read_share(given.skew),
        limit_ms=round(units.read_milliseconds(given.limit)),
    )
    if given.graph:
        return graph_files.read(given.graph, options.seed, links), options
    return graphs.make(options.topology, options.peers, options.seed, links, options.degree), options


def _refuse_contradictions(given: argparse.Namespace) -> None:
    """Refuse two options that exclude each other: one would be ignored, and the user would not know which."""
    for name in ("topology", "peers", "degree"):
        if given.graph and getattr(given, name) is not None:
            raise PeerError(f"--{name} and --graph: the file says what the network is; leave one of them out")
    if given.learn and given.parameters is not None:
        raise PeerError("--parameters and --learn: what is learned says how large the model is; leave one of them out")


def _introduce(given: argparse.Namespace, graph: Any, options: "Options") -> None:
    """Say what is simulated before it begins."""
    from ....topology.network.graphs import peers_of
    from ....topology.options import memory_bytes

    peers = len(peers_of(graph))
    what = given.graph or options.topology
    routers = f", {len(graph) - peers} routers" if len(graph) > peers else ""
    print(f"{what}: {peers} peers{routers}, {graph.number_of_edges()} links, seed {options.seed}")
    if given.graph:
        _say_what_the_file_lacks(graph)
    held = memory_bytes(options, peers)
    if held > LARGE_BYTES:
        print(f"real shares will take about {held / 1e9:.1f} GB of memory; --ideal-crypto does without them")
    print()


def _say_what_the_file_lacks(graph: Any) -> None:
    if graph.graph["filled"]:
        missing = ", ".join(f"{name} on {count} links" for name, count in sorted(graph.graph["filled"].items()))
        print(f"the file does not say everything; defaults for {missing}")
    for names, where in zip(graph.graph["unread"], ("links", "sites"), strict=True):
        if names:
            print(f"attributes of {where} in the file that are not used: {', '.join(names)}")
    if graph.graph["repeated"]:
        print(f"{graph.graph['repeated']} links are there twice; each counts as one")


def _with_resilience(graph: Any, options: "Options", result: "Result", is_quiet: bool) -> "Result":
    """Repeat the run in short with more and more peers dead, for the picture of the resilience."""
    from ....topology.resilience import MANY_PEERS, resilience

    if not is_quiet:
        print("\nthe same with peers dead from the beginning, in short:")

    def show(trial: "Trial") -> None:
        if not is_quiet:
            who = f"  ({', '.join(trial.names)})" if trial.names else ""
            print(f"{trial.dead:>3} dead: {trial.decided} of {trial.rounds} decided{who}", flush=True)

    trials = resilience(graph, options, 2 if len(result.sites) <= MANY_PEERS else 1, show)
    rows = tuple(asdict(trial) | {"share": trial.share} for trial in trials)
    return replace(result, resilience=rows)


class _Progress:
    """Prints a line for each round while the simulation runs."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def __call__(self, row: "RoundRow") -> None:
        if row.round > self._rounds:
            return
        span = (row.ended_ms - row.began_ms) / 1000
        text = (
            f"round {row.round:>3}: {row.outcome:<7} in {span:6.2f} s, {row.contributors} of {row.members} contribute"
        )
        text += f", {row.views} more views" if row.views else ""
        text += f", accuracy before it {row.metrics['accuracy']:.3f}" if "accuracy" in row.metrics else ""
        text += f", missed: {', '.join(row.missed)}" if row.missed else ""
        print(text, flush=True)


def _print(result: "Result", seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for what, figure in result.summary():
        table.add_row(what, figure)
    table.add_row("this machine", f"{seconds:.1f} s, {result.events / max(seconds, 1e-9):,.0f} events a second")
    print()
    Console(file=sys.stdout, highlight=False).print(table)


def _place(given: argparse.Namespace) -> Path:
    """Return where the JSON goes. Checked before the run, which may take long."""
    place = Path(given.json) if given.json else Path(given.out or ".") / "simulation.json"
    try:
        if given.out:
            Path(given.out).mkdir(parents=True, exist_ok=True)
        was_there = place.exists()
        place.open("a").close()
        if not was_there:
            place.unlink()
    except OSError as error:
        raise _unwritable(error, place) from None
    if given.out and importlib.util.find_spec("matplotlib") is None:
        raise PeerError("pictures need matplotlib: pip install 'coterie[pictures]', or leave out --out")
    return place


def _unwritable(error: OSError, place: Path) -> PeerError:
    where = error.filename or place
    return PeerError(f"{where} cannot be written ({error.strerror}): choose another --out or --json")


def _write_page(place: Path, film: dict[str, Any]) -> None:
    from ...page.document import film_document

    try:
        place.write_bytes(film_document(film))
    except OSError as error:
        raise _unwritable(error, place) from None
    print(f"written: {place} (open it in a browser to step through the run)")


def _write(given: argparse.Namespace, result: "Result", place: Path) -> None:
    try:
        if given.out:
            from ....topology.reporting import pictures

            drawn = pictures.draw(Path(given.out), result)
            print("drawn: " + ", ".join(str(path) for path in drawn))
        place.write_text(result.to_json(), encoding="utf-8")
    except BrokenPipeError:
        raise  # nobody reads our output any more
    except OSError as error:
        raise _unwritable(error, place) from None
    print(f"written: {place}")
