"""What does a member learn of another's rows from its update, and what is left of that in a sum?

Sites train a softmax regression on handwritten digits, with one step on a few rows each; as many of them are away as a
federation bears. The attacker is one of those that contribute. Under the scheme `plain` it aggregates, and so is sent
the update of another member as it is. Under `shamir` it has the model before the round and after it, and so the sum,
from which it subtracts its own part. With four sites the sum is of three updates: K+1, the fewest that there may be.

It inverts what it has: it looks for rows and labels with that gradient (Zhu, Liu and Han, "Deep leakage from
gradients", 2019), by L-BFGS from two random starts. A row counts as found if, of all 1,797 digits of the data set, it
is the one that looks most like one of the attack's drawings. The correlation is that of the row's pixels with the
drawing that is matched to it; a guess is the mean of all digits.

Run: python examples/update_attack.py [--out FILE.png] [--rows 1 2 4 8 16]
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, minimize  # type: ignore[import-untyped]
from sklearn.datasets import load_digits
from telling import arguments, logarithmic, picture, table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from coterie.crypto.field import from_bytes
from coterie.crypto.sharing.fixed_point import FixedPoint
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.contribution import layout_of
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import SumShare
from coterie.topology.engine.founded_ledger import make_genesis
from coterie.topology.engine.simulation import Observer, Setup, Simulation
from coterie.topology.engine.site import Site
from coterie.topology.faults.faults import Outage, Outages
from coterie.topology.network.graphs import make
from coterie.topology.reporting.pictures import BLUE, GREEN, GREY, RED

CLASSES, SEED, STARTS, STEPS, LIMIT_MS = 10, 5, 2, 600, 120_000
MOST_ROWS = 32
SEEN = {
    "an update (plain)": ("plain", 4),
    "a sum of 3, less its own": ("shamir", 4),
    "a sum of 7, less its own": ("shamir", 10),
}
"""What the attacker has, by the scheme and the number of sites."""

Floats = NDArray[np.float64]

data = load_digits()
PIXELS: Floats = data.data / 16
LABELS = data.target


def softmax(scores: Floats) -> Floats:
    """The softmax of each row."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def with_one(rows: Floats) -> Floats:
    """The rows with a constant input."""
    return np.hstack([rows, np.ones((len(rows), 1))])


def gradient(weights: Floats, rows: Floats, labels: Floats) -> Floats:
    """Mean gradient of the cross-entropy; labels are shares of the classes."""
    inputs = with_one(rows)
    mean: Floats = inputs.T @ (softmax(inputs @ weights) - labels) / len(rows)
    return mean


class OneStep:
    """Every site takes one gradient step of length 1 on all of its rows."""

    def __init__(self, sites: int, rows: int) -> None:
        chosen = np.random.default_rng(SEED).permutation(len(LABELS))[: rows * sites]
        self.parts = chosen.reshape(sites, rows)

    def gradient(self, site: int, weights: bytes) -> Floats:
        """The gradient at a site; its update is the negative of it."""
        part = self.parts[site]
        shaped = np.frombuffer(weights, "<f4").astype(np.float64).reshape(-1, CLASSES)
        return gradient(shaped, PIXELS[part], np.eye(CLASSES)[LABELS[part]])

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        """Return a site's contribution; its update in a round of training is one step."""
        update = None if work.kind != "train" else -self.gradient(site, work.weights).astype(np.float32).ravel()
        return Contribution(self.parts.shape[1], (1.0, 1.0), entropy, update)


class Aggregator(Observer):
    """Keeps what members send to the aggregator in the clear."""

    def __init__(self) -> None:
        self.seen: dict[int, bytes] = {}

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, SumShare) and message.message.round == 1 and blob is not None:
            self.seen.setdefault(site.number, blob)


def seen(scheme: str, sites: int, rows: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Play a round. Returns the weights before it, the gradient that the attacker has, and which rows are in it."""
    trainer, parameters = OneStep(sites, rows), (PIXELS.shape[1] + 1) * CLASSES
    start = np.random.default_rng(SEED).normal(0, 0.3, parameters).astype("<f4")
    values = {"weights_hash": digest_of(start.tobytes()), "rounds": 1, "scheme": scheme, "examples_ref": rows}
    genesis, _ = make_genesis(parameters, sites, **values)
    setup = Setup(genesis, start.tobytes(), SEED, rounds=1, trainer=trainer)
    simulation, aggregator = Simulation(make("complete", sites), setup), Aggregator()
    there = range(sites - (sites - 1) // 3)
    gone = tuple(Outage(str(site), 30, None) for site in range(sites) if site not in there)
    simulation.watch(aggregator, Outages(gone))
    disk = simulation.sites[0].disk
    if not simulation.run(LIMIT_MS) or disk.model is None:
        raise SystemExit(f"{sites} sites under {scheme} did not finish their round")
    before = start.astype(np.float64).reshape(-1, CLASSES)
    if scheme == "plain":
        victim, blob = min(aggregator.seen.items())
        layout, codec = layout_of(genesis, "train"), FixedPoint(2.0**genesis.clip_exponent, sites)
        units = codec.decode_sum(from_bytes(blob, layout.columns)[: layout.slots], parameters, 1)
        return before, -(units.astype(np.float64) * codec.step).reshape(-1, CLASSES), trainer.parts[victim]
    after = np.frombuffer(disk.model.weights, "<f4").astype(np.float64).reshape(-1, CLASSES)
    total = (before - after) * len(there) - trainer.gradient(0, start.tobytes())
    return before, total / len(there[1:]), np.concatenate(trainer.parts[1 : len(there)])


def invert(weights: Floats, wanted: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Look for so many rows whose gradient is the wanted one. Returns the best of some starts."""
    size = PIXELS.shape[1]

    def miss(found: Floats) -> tuple[float, Floats]:
        pixels, scores = np.split(found.reshape(rows, -1), [size], axis=1)
        inputs, labels = with_one(pixels), softmax(scores)
        shares = softmax(inputs @ weights)
        wrong = gradient(weights, pixels, labels) - wanted
        turned = inputs @ wrong
        by_shares, by_labels = (one * (turned - (one * turned).sum(axis=1, keepdims=True)) for one in (shares, labels))
        slope = ((shares - labels) @ wrong.T + by_shares @ weights.T)[:, :size]
        scale = 1e4  # so that the optimiser does not take small gradients for none
        return scale * float(np.square(wrong).sum()), scale * 2 / rows * np.hstack([slope, -by_labels]).ravel()

    bounds = ([(0.0, 1.0)] * size + [(-12.0, 12.0)] * CLASSES) * rows
    options = {"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 1e-15, "gtol": 1e-9}
    tries = []
    for _ in range(STARTS):
        start = np.hstack([rng.uniform(0.2, 0.8, (rows, size)), rng.normal(0, 1, (rows, CLASSES))]).ravel()
        tries.append(minimize(miss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options))
    best: Floats = min(tries, key=lambda one: one.fun).x.reshape(rows, -1)
    return best[:, :size]


@dataclass(frozen=True)
class Attack:
    """What came of one attack."""

    rows: int
    inside: int
    found: int
    correlation: float
    guess: float


def attack(scheme: str, sites: int, rows: int) -> Attack:
    """Play a round, invert what is seen of it, and compare with the rows that are in it."""
    weights, wanted, inside = seen(scheme, sites, rows)
    drawn = invert(weights, wanted, len(inside), np.random.default_rng(SEED))
    likeness = correlations(drawn, PIXELS)
    found = set(likeness.argmax(axis=1).tolist()) & set(inside.tolist())
    places, matched = linear_sum_assignment(-likeness[:, inside])
    guess = correlations(PIXELS.mean(axis=0, keepdims=True), PIXELS[inside]).mean()
    best = float(likeness[places, inside[matched]].mean())
    return Attack(rows, len(inside), len(found), best, float(guess))


def correlations(some: Floats, others: Floats) -> Floats:
    """The correlation of each of some with each of the others."""
    centred = [one - one.mean(axis=1, keepdims=True) for one in (some, others)]
    first, second = (one / (np.linalg.norm(one, axis=1, keepdims=True) + 1e-12) for one in centred)
    product: Floats = first @ second.T
    return product


def main() -> None:
    """Attack with more and more rows a site."""
    given = arguments(__doc__, rows=((1, 2, 4, 8, 16), "of each site"))
    if max(given.rows) > MOST_ROWS:
        raise SystemExit(f"--rows {max(given.rows)}: at most {MOST_ROWS}, for more are not looked for in a minute")
    with threadpool_limits(1):  # these matrices are so small that more threads only wait for each other
        found = {what: [attack(*how, rows) for rows in sorted(set(given.rows))] for what, how in SEEN.items()}
    cells = [
        (
            what,
            one.rows,
            one.inside,
            f"{one.found} ({one.found / one.inside:.0%})",
            f"{one.inside / len(LABELS):.0%}",
            f"{one.correlation:.2f}",
            f"{one.guess:.2f}",
        )
        for what, attacks in found.items()
        for one in attacks
    ]
    columns = ("what the attacker has", "rows a site", "rows inside", "found", "by chance", "correlation", "by a guess")
    table("rows of others that gradient inversion finds", columns, cells)
    print(
        "\nOf an update it is known whose rows they are, of a sum it is not. But a sum of a few rows is no protection:"
    )
    print("what counts is how many rows of others are inside.")
    draw(given.out, found)


def draw(out: Path | None, found: dict[str, list[Attack]]) -> None:
    """Share of rows found and correlation against the rows a site."""
    with picture(out, 2) as axes:
        for what, colour, marker in zip(found, (RED, BLUE, GREEN), "osD", strict=True):
            rows = [one.rows for one in found[what]]
            for axis, values in zip(
                axes,
                ([100 * one.found / one.inside for one in found[what]], [one.correlation for one in found[what]]),
                strict=False,
            ):
                axis.plot(rows, values, color=colour, marker=marker, label=what)
        for axis in axes:
            logarithmic(axis, rows, "x")
            axis.set(xlabel="rows of each site")
        if axes:
            axes[0].set(ylabel="rows found (%)", ylim=(-3, 103), title="Rows of others that the attack finds")
            axes[1].set(ylabel="correlation of the pixels", title="How much the drawing looks like the row")
            guess = next(iter(found.values()))
            axes[1].plot(
                [one.rows for one in guess], [one.guess for one in guess], color=GREY, linestyle=":", label="a guess"
            )
            axes[1].legend(frameon=False)


if __name__ == "__main__":
    main()
