"""How the stories tell what they found: a table, and with --out a picture in the look of the simulator's."""

import argparse
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def arguments(story: str | None, **sizes: tuple[Any, str]) -> argparse.Namespace:
    """Read the command line: --out, and an option for each of ``sizes``: its default, and what the number is.

    An option whose default is a tuple takes several numbers. All numbers are whole ones from 1 on.
    """
    parser = argparse.ArgumentParser(description=(story or "").splitlines()[0])
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="draw it, too (needs matplotlib)")
    for name, (default, text) in sizes.items():
        many = isinstance(default, tuple)
        shown = " ".join(map(str, default)) if many else default
        count, text = "+" if many else None, f"{text} ({shown})"
        parser.add_argument(f"--{name}", type=_count, nargs=count, default=default, metavar="N", help=text)
    given = parser.parse_args()
    if given.out is not None:
        _check_picture(parser, given.out)
    return given


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _check_picture(parser: argparse.ArgumentParser, out: Path) -> None:
    """See before the work begins whether its picture can be drawn."""
    if out.suffix != ".png":
        parser.error(f"--out {out}: a picture's name ends in .png")
    if not out.parent.is_dir():
        parser.error(f"--out {out}: there is no folder {out.parent}")
    if importlib.util.find_spec("matplotlib") is None:
        parser.error("--out needs matplotlib: pip install 'coterie[pictures]'")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table. Columns whose first cell begins with a digit are aligned to the right, the others to the left."""
    cells = [list(columns), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    pads = [str.rjust if cell[:1].isdigit() else str.ljust for cell in cells[min(1, len(rows))]]
    lines = ["  ".join(pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True)) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    print(f"\n{title}\n", *(line.rstrip() for line in lines), sep="\n")


@contextmanager
def picture(out: Path | None, panels: int = 1, height: float = 4.6, width: float = 5.6) -> Iterator[Any]:
    """Give a list of the axes of a picture to draw on; afterwards write it. Without ``out`` the list is empty.

    >>> with picture(None) as axes:
    ...     print(axes)
    []
    """
    if out is None:
        yield []
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(1, panels, figsize=(width * panels, height), layout="constrained", squeeze=False)
    axes = list(grid[0])
    yield axes
    for one in axes:
        one.grid(alpha=0.25)
        one.set_axisbelow(True)
    figure.savefig(out, dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    print(f"\ndrawn: {out}")


def logarithmic(axis: Any, places: Sequence[int], which: str = "xy") -> None:
    """Give axes a logarithmic scale with readable numbers: at ``places`` on x, at 1, 2 and 5 times 10^n on y."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set(**{f"{one}scale": "log" for one in which})
    if "x" in which:
        axis.set_xticks(places, [f"{place:,}" for place in places])
        axis.xaxis.minorticks_off()
    if "y" in which:
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
