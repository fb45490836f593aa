"""The figures with an attack: bad clients, and holders that manipulate their shares."""

import statistics
from typing import Any

import numpy as np
from paper_loop import train
from paper_rounds import train_federation
from paper_server import Shares
from paper_study import (
    CIPHERTEXTS,
    CUT,
    DRAWS,
    MANY,
    MS,
    RMSE,
    ROUNDS_SHAMIR,
    SETTLED,
    SHARES,
    Panel,
    Study,
    by_iteration,
    median,
    panel,
    settled,
    told,
)
from paper_task import ATTACKS, Task


def figure_08(study: Study) -> list[Panel]:
    """RMSE by iteration with encryption and bad clients."""
    panels = []
    for attack, courses in study.with_bad.items():
        named = {f"{bad} bad": one for bad, one in zip(study.bad, courses[CIPHERTEXTS], strict=True)}
        label = CUT if attack == ATTACKS[1] else RMSE
        panels.append(panel(f"Paillier, {attack}", "iteration", label, by_iteration(named), log=True))
    return panels


def figure_10(study: Study) -> list[Panel]:
    """RMSE with secret sharing, with bad clients and with manipulated shares."""
    courses = study.with_bad[ATTACKS[0]]
    bad = {name: (study.bad, [one.rmse[-1] for one in courses[name]]) for name in (SHARES, ROUNDS_SHAMIR)}
    wrong = study.with_wrong_shares
    study.named["so many members of 8"] = {n: told(one) for n, one in zip(study.wrong, wrong, strict=True)}
    lines = {
        SHARES: (study.wrong, [typical(study, Shares(needed=MANY // 2, manipulated=n)) for n in study.wrong]),
        ROUNDS_SHAMIR: (study.wrong, [settled(one) for one in wrong]),
    }
    return [
        panel("Bad clients (reversed targets)", "bad clients of 8", RMSE, bad, log=True, overlaid=True),
        panel("Manipulated shares (K = 4 of N = 8)", "holders that manipulate, 0 to N-K", SETTLED, lines, log=True),
    ]


def typical(study: Study, way: Shares) -> float:
    """The settled RMSE of the paper's shares: the median of some draws of the shares that are opened."""
    found = []
    for seed in range(DRAWS):
        way.rng = np.random.default_rng(seed)
        found.append(settled(train(Task(MANY), way, study.iterations)))
    return statistics.median(found)


def figure_11(study: Study) -> list[Panel]:
    """RMSE and time by the number of shares, with one holder that manipulates."""
    half, two = "paper: shares, K more than half", "paper: shares, K = 2"
    lines: dict[str, tuple[Any, Any]] = {
        half: (study.shares, [typical(study, Shares(holders=n, manipulated=1)) for n in study.shares]),
        two: (study.shares, [typical(study, Shares(holders=n, needed=2, manipulated=1)) for n in study.shares]),
    }
    rounds = [train_federation(Task(n), "shamir", study.iterations, wrong_shares=1) for n in study.shares]
    study.named["one of so many members"] = {n: told(one) for n, one in zip(study.shares, rounds, strict=True)}
    lines[ROUNDS_SHAMIR] = (study.shares, [settled(one) for one in rounds])
    courses = {
        half: [train(Task(MANY), Shares(holders=n), study.iterations) for n in study.shares],
        ROUNDS_SHAMIR: [train_federation(Task(n), "shamir", study.iterations) for n in study.shares],
    }
    times = {name: (study.shares, [median(one, "client") for one in found]) for name, found in courses.items()}
    return [
        panel("One holder manipulates", "shares, N", SETTLED, lines, log=True),
        panel("Nobody manipulates", "shares, N", f"{MS} of a client", times, measured=True, zero=True),
    ]


def figure_12(study: Study) -> list[Panel]:
    """RMSE of all protocols with bad clients."""
    panels = []
    for attack, courses in study.with_bad.items():
        lines = {name: (study.bad, [one.rmse[-1] for one in found]) for name, found in courses.items()}
        label = CUT if attack == ATTACKS[1] else RMSE
        panels.append(panel(attack.capitalize(), "bad clients of 8", label, lines, log=True, overlaid=True))
    return panels
