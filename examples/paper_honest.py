"""The figures without an attack: RMSE, time and bytes of the ways, and what digits bring."""

import math

import numpy as np
from paper_library import CLIP
from paper_loop import Course, Spent, train
from paper_rounds import bytes_sent
from paper_server import Ciphertexts, Shares
from paper_study import (
    CIPHERTEXTS,
    FEW,
    FEW_MEMBERS,
    MANY,
    MS,
    PACKED,
    PLAIN,
    RMSE,
    ROUNDS_SHAMIR,
    SCHEMES,
    SHARES,
    Panel,
    Study,
    by_iteration,
    median,
    milliseconds,
    panel,
)
from paper_task import Task

from coterie.crypto.sharing.fixed_point import FixedPoint


def figure_06(study: Study) -> list[Panel]:
    """RMSE by iteration with encryption."""
    names = (PLAIN, CIPHERTEXTS, PACKED)
    few = {name: study.course(name, Task(FEW)) for name in names}
    many = {name: study.many[name] for name in names}
    return [
        panel(f"{count} clients", "iteration", RMSE, by_iteration(courses), log=True, overlaid=True)
        for count, courses in ((FEW, few), (MANY, many))
    ]


def figure_07(study: Study) -> list[Panel]:
    """CPU time by iteration with and without encryption."""
    numbers, names = range(1, study.iterations + 1), (PLAIN, CIPHERTEXTS, PACKED)
    found = {
        who: {name: (numbers, milliseconds(study.many[name], who)) for name in names}
        for who in ("client", "aggregator")
    }
    return [panel(f"{who.capitalize()}", "iteration", MS, found[who], log=True, measured=True) for who in found]


def figure_09(study: Study) -> list[Panel]:
    """RMSE by iteration with secret sharing."""
    few = {PLAIN: study.course(PLAIN, Task(FEW)), **rounded(study, FEW)}
    few[f"{ROUNDS_SHAMIR}, {FEW_MEMBERS} members"] = study.course(ROUNDS_SHAMIR, Task(FEW_MEMBERS))
    many = {PLAIN: study.many[PLAIN], **rounded(study, MANY), ROUNDS_SHAMIR: study.many[ROUNDS_SHAMIR]}
    titles = (f"{FEW} clients ({FEW_MEMBERS} in Coterie)", f"{MANY} clients")
    return [
        panel(title, "iteration", RMSE, by_iteration(courses), log=True, overlaid=True)
        for title, courses in zip(titles, (few, many), strict=True)
    ]


def rounded(study: Study, clients: int) -> dict[str, Course]:
    """The paper's shares with one digit and with three."""
    names = {1: "paper: shares, 1 digit", 3: "paper: shares, 3 digits"}
    return {name: train(Task(clients), Shares(n), study.iterations) for n, name in names.items()}


def figure_13(study: Study) -> list[Panel]:
    """CPU time of an iteration, all protocols."""
    return [
        panel(
            title,
            MS + ", median iteration",
            "",
            {name: ([0], [median(one, who)]) for name, one in study.many.items()},
            bars=True,
            measured=True,
        )
        for title, who in (("A client", "client"), ("The aggregator", "aggregator"))
    ]


def sent(study: Study, name: str, parameters: int) -> float:
    """The bytes that one client sends in a round for each parameter of a model of this size."""
    if name in SCHEMES:
        return bytes_sent(SCHEMES[name], MANY, parameters) / parameters
    spent, rng = Spent(), np.random.default_rng(1)
    clients = 1 if name == CIPHERTEXTS else MANY  # it takes long, and sends the same however many there are
    study.ways[name]().mean([rng.uniform(-0.1, 0.1, parameters) for _ in range(clients)], spent)
    return spent.sent / parameters


def figure_14(study: Study) -> list[Panel]:
    """Bytes a parameter that a client sends in a round, by the size of the model."""
    most = {CIPHERTEXTS: 1_000, PACKED: 10_000, SHARES: 10_000} | dict.fromkeys(SCHEMES, 100_000)
    lines = {
        name: (sizes, [sent(study, name, size) for size in sizes])
        for name in study.many
        if (sizes := [size for size in study.sizes if size <= most.get(name, size)])
    }
    title = "Bytes that a client sends in a round of 8"
    return [panel(title, "parameters of the model", "bytes a parameter", lines, log=True, sizes=True)]


def figure_15(study: Study) -> list[Panel]:
    """RMSE and time by precision in digits; the paper has no figure of it."""
    shares = [train(Task(MANY), Shares(digits), study.iterations) for digits in study.digits]
    few = [digits for digits in study.digits if digits % 2]
    encrypted = [train(Task(MANY), Ciphertexts(study.key, digits), 3) for digits in few]
    ours, wanted = study.many[ROUNDS_SHAMIR], study.many[PLAIN].rmse[-1]
    place = [-math.log10(FixedPoint(CLIP, MANY).step)]
    off = {
        SHARES: (study.digits, [abs(one.rmse[-1] - wanted) for one in shares]),
        ROUNDS_SHAMIR: (place, [abs(ours.rmse[-1] - wanted)]),
    }
    times = {
        SHARES: (study.digits, [median(one, "client") for one in shares]),
        CIPHERTEXTS: (few, [median(one, "client") for one in encrypted]),
        ROUNDS_SHAMIR: (place, [median(ours, "client")]),
    }
    return [
        panel("RMSE after the training", "decimal digits", f"distance of the {RMSE} from plain's", off, log=True),
        panel("Time of a client", "decimal digits", MS, times, log=True, measured=True),
    ]
