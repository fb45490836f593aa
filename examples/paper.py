"""Do the figures of the paper that this project began with hold on today's code?

"Decentralized Machine Learning Models with Cryptographic Techniques" (2022) compares plain averaging, Paillier
encryption and secret sharing in its figures 6 to 14. Here each is measured again: `paper: ...` is our own small model
of what the paper did, with a server; `Coterie: ...` are real rounds of real nodes in the simulator; `library: ...` are
libraries of Coterie that no round uses yet. docs/paper.md says what came of it.

Seeds are fixed. Times are measured on your machine, and are CPU times of one thread; the rest is the same in every run.

Run: python examples/paper.py [--small] [--out DIR]
"""

import argparse
import json
from pathlib import Path
from typing import Any

from paper_attacks import figure_08, figure_10, figure_11, figure_12
from paper_honest import figure_06, figure_07, figure_09, figure_13, figure_14, figure_15
from paper_pictures import draw
from paper_study import Panel, Study
from telling import table

FIGURES = (
    figure_06,
    figure_07,
    figure_08,
    figure_09,
    figure_10,
    figure_11,
    figure_12,
    figure_13,
    figure_14,
    figure_15,
)


def tell(number: str, panels: list[Panel]) -> None:
    """Print the ends of the lines of a figure."""
    for panel in panels:
        rows = [
            (name, *(show(line["y"][place]) for place in (0, len(line["y"]) // 2, -1)))
            for name, line in panel["lines"].items()
        ]
        columns = ("line", "at first", "in the middle", "at last")
        table(f"figure {number}, {panel['title']}: {panel['y'] or panel['x']}", columns, rows)


def show(value: float | None) -> str:
    """A number in a table."""
    return "beyond all" if value is None else f"{value:.4g}"


def main() -> None:
    """Measure one figure after the other, print them, and write them with --out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few iterations and few sizes, within a minute")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write paper.json and a picture for each figure there")
    given = parser.parse_args()
    if given.out is not None and not given.out.is_dir():
        parser.error(f"--out {given.out}: there is no such folder")
    study, told = Study(given.small), {}
    for measure in FIGURES:
        number, panels = measure.__name__.removeprefix("figure_"), measure(study)
        told[number] = {"what": measure.__doc__, "panels": panels}
        tell(number, panels)
        if given.out is not None:
            draw(given.out / f"paper-{number}.png", panels)
    rows = [(kind, n, what) for kind, found in study.named.items() for n, what in found.items()]
    table("members that were named", ("send wrong shares", "number", "what came of it"), rows)
    if given.out is not None:
        written: dict[str, Any] = {"figures": told, "named": study.named}
        (given.out / "paper.json").write_text(json.dumps(written, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
