"""Real rounds of real nodes in the simulator, on the task of the paper."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from paper_loop import Course, Spent
from paper_task import PARAMETERS, ROWS, Task

from coterie.protocol.ledger.contribution import coarse
from coterie.protocol.messages.encoding import digest_of
from coterie.topology import Options, simulate
from coterie.topology.engine.founded_ledger import make_genesis
from coterie.topology.engine.simulation import Setup, Simulation
from coterie.topology.engine.site import Site
from coterie.topology.network.graphs import make
from coterie.topology.options import place_liars
from coterie.topology.reporting.recorder import Recorder

LIMIT_MS, BY_AGGREGATOR = 3_600_000, ("opening the sum", "adding up")


class Timed(Simulation):
    """A simulation that measures the CPU time of each job; in virtual time it stays the same."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.jobs: dict[int, list[tuple[int, str, float]]] = {}

    def start_work(self, site: Site, work: Any, answer: Any) -> None:
        """Compute a job, and note how long it really took."""
        began = time.thread_time()
        super().start_work(site, work, answer)
        spent = time.thread_time() - began
        number = site.node.state.round if site.node is not None else 0
        self.jobs.setdefault(number, []).append((site.number, work.label, spent))


@dataclass
class Rounds(Course):
    """A training by rounds, and the members that were named."""

    named: list[str]
    void: int


def spent_in(jobs: list[tuple[int, str, float]], sites: int) -> Spent:
    """What a round's jobs cost a member (the median one), and the aggregator beyond that."""
    mine = [sum(s for site, label, s in jobs if site == one and label not in BY_AGGREGATOR) for one in range(sites)]
    return Spent(statistics.median(mine), sum(s for _, label, s in jobs if label in BY_AGGREGATOR))


def train_federation(task: Task, scheme: str, rounds: int, threshold: int = 0, wrong_shares: int = 0) -> Rounds:
    """Train in a federation of as many members as the task has clients. The last ones may lie about their shares."""
    values = {
        "weights_hash": digest_of(task.start.tobytes()),
        "scheme": scheme,
        "threshold": threshold,
        "examples_ref": coarse(ROWS // task.clients),
    }
    genesis, _ = make_genesis(PARAMETERS, task.clients, **values)
    setup = Setup(genesis, task.start.tobytes(), seed=1, rounds=rounds, trainer=task)
    simulation, recorder = Timed(make("complete", task.clients), setup), Recorder()
    liars = tuple(f"{task.clients - 1 - number}=wrong-share" for number in range(wrong_shares))
    place_liars(simulation, liars, beyond_f=True)
    simulation.watch(recorder)
    simulation.run(LIMIT_MS)
    model = simulation.sites[0].disk.model
    rmse = [task.seen[number] for number in sorted(task.seen) if number <= rounds]
    if model is not None:
        rmse.append(task.rmse(np.frombuffer(model.weights, "<f4")))
    rows = [row for row in recorder.rounds.values() if row.round <= rounds]
    jobs = simulation.jobs
    spent = [spent_in(jobs[number], task.clients) for number in range(1, rounds + 1) if number in jobs]
    for one, row in zip(spent, sorted(rows, key=lambda row: row.round), strict=False):
        one.sent = row.bytes_a_peer
    return Rounds(rmse, spent, sorted(recorder.named), sum(row.outcome == "void" for row in rows))


def bytes_sent(scheme: str, peers: int, parameters: int) -> int:
    """The bytes that a member sends in a round of training a model of this size, everything included."""
    result = simulate(options=Options("complete", peers, rounds=2, scheme=scheme, parameters=parameters))
    return result.rounds[-1].bytes_a_peer
