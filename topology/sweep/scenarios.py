"""Random runs: a seed gives a network, a schedule of faults and a set of liars, and the invariants must hold.

A scenario is a value, so one that fails can be made smaller: :func:`shrink` leaves out one fault after the other and
keeps each smaller scenario that still fails.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ...protocol.ledger.genesis import Bounds
from ...protocol.limits import MIN_TRAINING_MEMBERS
from ...protocol.scheme_registry import DEFAULT_SCHEME, SCHEMES
from ..adversaries import STRATEGIES
from ..adversaries.forging import waits_to_join
from ..engine.founded_ledger import make_genesis
from ..engine.simulation import Observer, Setup, Simulation
from ..engine.site import CrashPoint
from ..faults.faults import Churn
from ..faults.joins_and_leaves import MOMENTS as COMING_MOMENTS
from ..faults.joins_and_leaves import Coming, Comings
from ..faults.partitions import PARTITIONS, LoneDecision
from ..invariants import CHECKERS, Checker, Violation
from ..invariants.durable import Durable
from ..invariants.release_once import ReleaseOnce
from ..invariants.secrecy import Secrecy
from ..invariants.sign_once import SignOnce
from ..network.graphs import LinkDefaults, make
from ..options import place_liars
from ..reporting.transcript import Transcript

PEERS: Final = (3, *(4,) * 9, *(5,) * 3, *(7,) * 3, 10)
MOMENTS: Final = ("before", "during", "after", "sending")
RECORDS: Final = ("VoteCast", "ValueSeen", "Dealt", "ShareHeld", "Released", "BlockDecided", "RoundClosed", None)
BOUND_MS: Final = 120_000
"""Virtual time within which all rounds must end; faults heal in the first half minute."""

CHURN_MS: Final = 20_000
"""For how long peers and links come and go, in scenarios with churn."""

SIMPLE_LATENCY_MS: Final = (1, 10)
SETUP_SUMS: Final = 2
FINAL_METRICS: Final = ("part of a class",)
"""A number that is the same whatever the model: two sums over different members would give a member's number away."""
COLLUSIONS: Final = (
    "fail-and-shun",
    "fail-and-wait",
    "fail-and-vanish",
    "fail-and-leave",
    "fail-and-crash",
    "shun",
    "shun-in-turn",
    "refuse+shun",
    "open-and-fail",
    "twin-deal",
    "twin-deal",
    "non-encoding+shun",
    "two-acks+late-ack",
    "hand-to-colluders+false-keeper",
    "take-in+false-keeper",
    "ack-to-dealer",
    "few-holders",
)
"""Plans that all liars of a scenario may follow together; one that is listed twice is drawn twice as often."""

SAFE: Final = (SignOnce, ReleaseOnce, Durable, Secrecy)
"""The invariants that hold with more than f liars too."""

SPLIT_VIEWS: Final = (
    *("mask", "quiet-complaint", "see-saw", "late-take-in"),
    *("single-acks", "old-accusation", "future-accusations", "two-complaints"),
    *("crawl", "fail-and-garble", "lost-keeper", "choosy"),
)
"""Lies that show members different things, so that they disagree on the contributors."""

SPLIT_EVERY: Final = 9
"""One in this many seeds gives its first liar, if it has one, a lie of SPLIT_VIEWS."""

GIVING_UP_EVERY: Final = 4
"""One in this many scenarios with newcomers has one that takes its request to be admitted back."""

TOGETHER: Final = ("lost-keeper", "choosy")
"""Those of SPLIT_VIEWS that need all liars."""

ABOUT_PROOFS: Final = ("mixed-proof", "erase-proof", "false-first")
"""Lies about proofs, which have an effect only where the votes of all members are needed."""

PROOFS_EVERY, PROOFS_FROM = 50, 7
"""The seeds with a lie of ABOUT_PROOFS: every PROOFS_EVERY-th, from PROOFS_FROM on. The lie is not drawn."""

SEEN_BY_FEW: Final = ("false-z-to-one", "lie-after-leaving", "return-unseen")
"""Lies that one member alone sees, lies of a member that has left, and a departure that a member learns of too late."""

FEW_EVERY, FEW_FROM, FEW_ROUNDS = 50, 23, 12
"""The seeds with one of SEEN_BY_FEW: every FEW_EVERY-th, from FEW_FROM on; and their rounds. The lie is not drawn."""

ABOUT_DEALINGS: Final = ("false-proof", "longest-update", "non-encoding")
"""Lies about dealings that prove themselves; of the last one in other federations, too."""

PROVED_EVERY, PROVED_FROM, PROVED_ROUNDS = 25, 13, 4
"""The seeds in which dealings prove themselves: every PROVED_EVERY-th, from PROVED_FROM on. Liars are not drawn."""

SMALL: Final = 6
LARGE: Final = 18_000
"""Parameters of a model. A box of the large one has more than 64 KiB, so that it is pulled."""

AIMED_EVERY: Final = 10
"""One in this many scenarios aims at the lock rule, which chance hardly ever tests."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that determines one run."""

    seed: int
    topology: str = "complete"
    peers: int = 4
    rounds: int = 2
    is_founded: bool = True
    latency_ms: tuple[int, int] = (1, 40)
    loss: float = 0.0
    byzantine: tuple[str, ...] = ()
    partition: str = ""
    crashes: tuple[tuple[int, CrashPoint], ...] = ()
    churn: float = 0.0
    flapping: float = 0.0
    scheme: str = DEFAULT_SCHEME
    threshold: int = 0
    setup_sums: int = 0
    trains: int = 0
    """Training rounds before the evaluation, if that is to come within ``rounds``; 0: there is no evaluation."""
    has_final_metrics: bool = False
    """Whether the evaluation adds up numbers that follow from the members' data alone."""
    comings: tuple[Coming, ...] = ()
    """Newcomers that arrive, which are not counted in ``peers``, and members that leave."""
    evict_after_rounds: int = 50
    view_delta_ms: int = 300
    parameters: int = SMALL
    beyond_f: bool = False
    """Whether more than f members lie, but no more than K-1: then only the invariants of SAFE are checked."""
    is_proved: bool = False
    """Whether dealings prove themselves."""

    def faults(self) -> Iterator["Scenario"]:
        """Yield the scenarios with one fault fewer: first liars, then their strategies, the network last."""
        for index in range(len(self.byzantine)):
            yield replace(self, byzantine=self.byzantine[:index] + self.byzantine[index + 1 :])
        for index, text in enumerate(self.byzantine):
            for fewer in _with_one_strategy_less(text):
                yield replace(self, byzantine=(*self.byzantine[:index], fewer, *self.byzantine[index + 1 :]))
        for index in range(len(self.crashes)):
            yield replace(self, crashes=self.crashes[:index] + self.crashes[index + 1 :])
        if self.partition:
            yield replace(self, partition="")
        for index in range(len(self.comings)):  # newcomers have the last numbers, so only the last one can be left out
            coming = self.comings[index]
            if coming.leaves or coming.site == self.peers + self.arrivals - 1:
                yield replace(self, comings=self.comings[:index] + self.comings[index + 1 :])
        without = (replace(self, loss=0.0), replace(self, churn=0.0), replace(self, flapping=0.0))
        without_end = replace(self, trains=0, has_final_metrics=False)
        unproved = replace(self, is_proved=False)
        simpler = (replace(self, threshold=0), replace(self, setup_sums=0), without_end, unproved)
        yield from (one for one in (*without, *simpler, replace(self, evict_after_rounds=50)) if one != self)
        if self.rounds > 1:
            yield replace(self, rounds=1)
        if self.topology != "complete":
            yield replace(self, topology="complete")
        if self.latency_ms != SIMPLE_LATENCY_MS:
            yield replace(self, latency_ms=SIMPLE_LATENCY_MS)
        if self.peers > 4 and not self.threshold and not self.comings and self.peers - 1 not in self._named():
            yield replace(self, peers=self.peers - 1)

    @property
    def arrivals(self) -> int:
        """Number of newcomers that arrive."""
        return sum(not coming.leaves for coming in self.comings)

    def _named(self) -> set[int]:
        """Return the sites that a liar or a crash is assigned to."""
        return {int(text.split("=")[0]) for text in self.byzantine} | {number for number, _ in self.crashes}


def _with_one_strategy_less(text: str) -> Iterator[str]:
    site, names = text.split("=")
    each = names.split("+")
    for index in range(len(each) if len(each) > 1 else 0):
        yield f"{site}={'+'.join(each[:index] + each[index + 1 :])}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A violation, with the scenario that leads to it."""

    scenario: Scenario
    invariant: str
    what: str
    transcript: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.invariant}: {self.what}", f"{self.scenario}", *self.transcript])


def _schemes() -> tuple[str, ...]:
    """Return the schemes to draw from: nine times out of ten it is the default."""
    others = tuple(name for name in SCHEMES if name != DEFAULT_SCHEME)
    return (*others, *(DEFAULT_SCHEME,) * (9 * len(others)))


def scenario_of(seed: int) -> Scenario:
    """Return the scenario of a seed.

    It has up to f liars, each by itself or all with one plan, crashes, cuts and loss. In some scenarios newcomers
    arrive and members leave, or the rounds include a setup round or an evaluation.
    """
    rng = random.Random(f"scenario {seed}")
    peers = rng.choice(PEERS)
    f = (peers - 1) // 3
    sites = rng.sample(range(peers), f)
    # A federation that is being founded begins with a few members, which tolerate no liar (f = 0): it has none.
    is_founded = rng.random() < 0.85
    byzantine = _liars(seed, rng, sites) if is_founded else ()
    is_calm = rng.random() < 0.5
    crashes = tuple(
        (
            rng.randrange(peers),
            CrashPoint(rng.choice(MOMENTS), rng.randrange(12), rng.choice(RECORDS), rng.randint(200, 6_000)),
        )
        for _ in range(rng.choice((0, 0, 1, 1, 2)))
    )
    drawn = Scenario(
        seed=seed,
        topology=rng.choice(("complete", "complete", "ring", "star")),
        peers=peers,
        rounds=4 if _have_sums_fail(byzantine) else 2,  # a sum fails, a newcomer joins meanwhile, the sum is repeated
        is_founded=is_founded,
        latency_ms=rng.choice(((1, 10), (1, 60), (20, 150))),
        loss=rng.choice((0.0, 0.0, 0.05)),
        byzantine=byzantine,
        partition=rng.choice((*(name for name in PARTITIONS if name != LoneDecision.name), "", "", "", "")),
        crashes=crashes,
        churn=rng.choice((0.2, *(0.0,) * 9)),
        flapping=rng.choice((0.2, *(0.0,) * 9)),
        scheme=rng.choice(_schemes()),
        threshold=rng.choice((rng.randint(max(2, f + 1), max(2, min(peers - f, peers - 1))), *(0,) * 9)),
        setup_sums=rng.choice((0, 0, SETUP_SUMS)),
        trains=rng.choice((0, 0, 0, 1)),
        comings=_comings(rng, peers, byzantine) if is_founded else (),
        evict_after_rounds=rng.choice((50, 50, 50, 1)),
        view_delta_ms=rng.choice((300, 1_000, 1_000)),
        parameters=LARGE if any("crawl" in text for text in byzantine) else SMALL,
    )
    comings = _with_one_that_gives_up(seed, drawn.comings)
    drawn = replace(drawn, has_final_metrics=drawn.trains > 0, comings=comings)
    if seed % AIMED_EVERY == AIMED_EVERY - 1:
        liars = tuple(f"{number}=equivocate" for number in sites)
        calm = replace(drawn, crashes=(), churn=0.0, flapping=0.0, comings=())
        return replace(calm, is_founded=True, byzantine=liars, partition=LoneDecision.name)
    if seed % PROVED_EVERY == PROVED_FROM:
        return _proved(drawn, sites)
    if seed % PROOFS_EVERY == PROOFS_FROM:
        return _about_proofs(drawn, sites)
    if seed % FEW_EVERY == FEW_FROM and sites:
        return _seen_by_few(drawn, sites)
    if byzantine and is_calm:  # the effect of liars shows best where nothing else goes wrong
        return replace(drawn, crashes=(), churn=0.0, flapping=0.0, partition="")
    # One of three members lies at times. That is more than f = 0: it may stop the others, but must learn nothing.
    if peers == MIN_TRAINING_MEMBERS and is_founded and rng.random() < 0.6:
        liar = (f"{rng.randrange(peers)}={rng.choice(('fail-and-wait', 'fail-and-wait', *COLLUSIONS))}",)
        calm = replace(drawn, crashes=(), churn=0.0, flapping=0.0, partition="", comings=_comings(rng, peers, liar))
        return replace(calm, rounds=4, byzantine=liar, beyond_f=True)
    return drawn


def _about_proofs(drawn: Scenario, sites: list[int]) -> Scenario:
    """Return a calm scenario in which all liars lie about the proof of a sum, and every other member is needed.

    With ``erase-proof`` a member crashes once it has seen a proof.
    """
    number = drawn.seed // PROOFS_EVERY
    lie = ABOUT_PROOFS[number % len(ABOUT_PROOFS)]
    turn = number // len(ABOUT_PROOFS)
    schemes = tuple(dict.fromkeys(_schemes()))
    scheme = schemes[turn % len(schemes)]
    crash = drawn.seed % drawn.peers, CrashPoint("after", turn % 12, "ValueSeen", 300)
    calm = replace(drawn, topology="complete", loss=0.0, churn=0.0, flapping=0.0, partition="", comings=())
    return replace(
        calm,
        rounds=6,
        is_founded=True,
        byzantine=tuple(f"{site}={lie}" for site in sites),
        crashes=(crash,) if lie == "erase-proof" else (),
        scheme=scheme,
        threshold=drawn.peers - len(sites) if sites and scheme == DEFAULT_SCHEME else 0,
    )


def _proved(drawn: Scenario, sites: list[int]) -> Scenario:
    """Return the scenario with dealings that prove themselves; in three of four all liars lie about them."""
    turn = drawn.seed // PROVED_EVERY % (len(ABOUT_DEALINGS) + 1)
    is_about = turn < len(ABOUT_DEALINGS) and drawn.is_founded
    proved = replace(drawn, is_proved=True, rounds=PROVED_ROUNDS, scheme=DEFAULT_SCHEME)
    if not is_about:
        return proved
    own = tuple(f"{site}={ABOUT_DEALINGS[turn]}" for site in sites)
    return replace(proved, byzantine=own, comings=tuple(one for one in drawn.comings if not one.leaves))


def _seen_by_few(drawn: Scenario, sites: list[int]) -> Scenario:
    """Return a calm scenario of many rounds with one liar, whose lie few members see."""
    lie = SEEN_BY_FEW[drawn.seed // FEW_EVERY % len(SEEN_BY_FEW)]
    away = (sites[0] + 1) % drawn.peers, CrashPoint("after", 2, "RoundClosed", 3_000)
    calm = replace(drawn, crashes=(), churn=0.0, flapping=0.0, partition="", comings=())
    return replace(
        calm,
        topology="complete" if lie == "return-unseen" else drawn.topology,
        rounds=FEW_ROUNDS,
        is_founded=True,
        byzantine=(f"{sites[0]}={lie}",),
        crashes=(away,) if lie == "return-unseen" else (),
        scheme=DEFAULT_SCHEME,
        trains=0,
    )


def _liars(seed: int, rng: random.Random, sites: list[int]) -> tuple[str, ...]:
    """Draw the liars and their strategies. Every strategy has its turn; in some scenarios all liars follow one plan."""
    own = (*SPLIT_VIEWS, *ABOUT_PROOFS, *SEEN_BY_FEW, *ABOUT_DEALINGS[:-1])
    names, f = [name for name in STRATEGIES if name not in own], len(sites)
    if rng.random() < 0.35:
        plan = rng.choice(COLLUSIONS)
        return tuple(f"{number}={plan}" for number in sites)
    texts: dict[int, str] = {}
    for number in range(rng.choice((0, min(1, f), min(1, f), f, f))):
        chosen = [names[seed % len(names)] if number == 0 else rng.choice(names)]
        if rng.random() < 0.3:
            chosen.append(rng.choice([name for name in names if name not in chosen]))
        if number == 0 and seed % SPLIT_EVERY == SPLIT_EVERY - 1:  # not drawn, so that other seeds stay as they are
            chosen[0] = SPLIT_VIEWS[seed // SPLIT_EVERY % len(SPLIT_VIEWS)]
        texts[sites[number]] = "+".join(chosen)
    for plan in TOGETHER:
        if plan in texts.values():
            return tuple(f"{number}={plan}" for number in sites)
    return tuple(f"{number}={text}" for number, text in texts.items())


def _have_sums_fail(byzantine: tuple[str, ...]) -> bool:
    return any("fail-" in text for text in byzantine)


def _comings(rng: random.Random, peers: int, byzantine: tuple[str, ...]) -> tuple[Coming, ...]:
    """Draw newcomers, and a member that leaves if the others still tolerate the liars without it.

    Where liars make sums fail there is a newcomer more often than not, and it comes right after a failure.
    """
    have_sums_fail = _have_sums_fail(byzantine)
    found = []
    for number in range(rng.choice((0, 1, 1, 1, 2)) if have_sums_fail else rng.choice((0, 0, 0, 0, 1, 1, 2))):
        moment = "failed" if have_sums_fail and number == 0 else rng.choice(("", "failed", *COMING_MOMENTS))
        found.append(Coming(peers + number, rng.randrange(1, 2_000 if moment else 8_000), moment))
    if rng.random() < 0.15 and peers > 3 and (peers - 2) // 3 >= len(byzantine):
        moment = rng.choice(("", *COMING_MOMENTS))
        found.append(Coming(rng.randrange(peers), rng.randrange(1, 4_000), moment, leaves=True))
    return tuple(found)


def _with_one_that_gives_up(seed: int, comings: tuple[Coming, ...]) -> tuple[Coming, ...]:
    """Have the first newcomer give up in some scenarios.

    This is drawn by itself, so that the other scenarios stay as they are.
    """
    rng = random.Random(f"gives up {seed}")
    first = next((one for one in comings if not one.leaves), None)
    if first is None or rng.randrange(GIVING_UP_EVERY):
        return comings
    return tuple(replace(one, patience_ms=rng.randint(1, 3_000)) if one is first else one for one in comings)


def build(scenario: Scenario) -> Simulation:
    """Put the simulation of a scenario together, without checkers."""
    links = LinkDefaults(latency_ms=scenario.latency_ms, jitter_ms=scenario.latency_ms[1], loss=scenario.loss)
    graph = make(scenario.topology, scenario.peers + scenario.arrivals, scenario.seed, links)
    genesis, weights = make_genesis(
        scenario.parameters,
        scenario.peers,
        rounds=scenario.trains or scenario.rounds,
        scheme=scenario.scheme,
        threshold=scenario.threshold,
        setup_sums=scenario.setup_sums,
        final_metrics=FINAL_METRICS if scenario.has_final_metrics else (),
        evict_after_rounds=scenario.evict_after_rounds,
        share_deadline_ms=5_000,
        view_timeout_ms=600,
        view_delta_ms=scenario.view_delta_ms,
        bounds=Bounds(quarters=0) if scenario.is_proved else None,
    )
    setup = Setup(
        genesis,
        weights,
        seed=scenario.seed,
        rounds=scenario.rounds,
        is_founded=scenario.is_founded,
        skew_ms=500,
        late=frozenset(coming.site for coming in scenario.comings if not coming.leaves),
    )
    simulation = Simulation(graph, setup)
    place_liars(simulation, scenario.byzantine, scenario.beyond_f)
    for number, point in scenario.crashes:
        simulation.sites[number].crash_point = point
    reached = simulation.goal
    # A newcomer cannot get in while others have to repeat a failed sum, so it is not waited for then.
    simulation.goal = lambda site: reached(site) or waits_to_join(simulation, site)
    if scenario.comings:
        simulation.watch(Comings(scenario.comings))
    if scenario.churn or scenario.flapping:
        simulation.watch(Churn(scenario.churn, scenario.flapping, CHURN_MS))
    if scenario.partition:
        simulation.watch(PARTITIONS[scenario.partition]())
    return simulation


def run(scenario: Scenario, checkers: Iterable[type[Checker]] = CHECKERS) -> Failure | str:
    """Run a scenario under checkers; returns the failure, or the hash of everything that was sent."""
    kinds = [kind for kind in checkers if kind in SAFE or not scenario.beyond_f]
    found = _run(scenario, kinds, Observer())
    if isinstance(found, Failure):  # run it again, which goes the same way, and write it down
        transcript = Transcript()
        _run(scenario, kinds, transcript)
        return replace(found, transcript=transcript.lines)
    return found


def _run(scenario: Scenario, checkers: Iterable[type[Checker]], observer: Observer) -> Failure | str:
    simulation = build(scenario)
    simulation.watch(observer, *(kind() for kind in checkers))
    try:
        simulation.run(BOUND_MS)
    except Violation as violation:
        return Failure(scenario, violation.invariant, violation.what)
    except Exception as error:  # nodes never raise for what peers do, so this is a finding like any other
        return Failure(scenario, "no exception", f"{type(error).__name__}: {error}")
    return simulation.trace


def _run_if_possible(scenario: Scenario) -> Failure | str | None:
    """Run a scenario; None if it is invalid, since fewer members tolerate fewer liars and take other thresholds."""
    try:
        return run(scenario)
    except ValueError:
        return None


def shrink(failure: Failure) -> Failure:
    """Leave out faults one by one while the same invariant still fails; returns the smallest failure found."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in failure.scenario.faults():
            found = _run_if_possible(candidate)
            if isinstance(found, Failure) and found.invariant == failure.invariant:
                failure, smaller = found, True
                break
    return failure
