"""Draws a figure of `paper.py` in the look of the simulator's pictures: markers and dashes repeat what colours say."""

from pathlib import Path
from typing import Any

from paper_study import Panel
from telling import picture

from coterie.topology.reporting.pictures import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

STYLES = {
    "paper: plain": (GREY, "s", "-"),
    "paper: Paillier": (ORANGE, "^", "--"),
    "paper: shares": (RED, "v", "--"),
    "paper: shares, 1 digit": (PURPLE, "P", ":"),
    "paper: shares, 3 digits": (RED, "v", "--"),
    "paper: shares, K = 2": (PURPLE, "P", ":"),
    "paper: shares, K more than half": (RED, "v", "--"),
    "library: Paillier, packed": (BLACK, "x", ":"),
    "library: masked": (GREEN, "D", "-."),
    "Coterie: plain": (SKY, "o", "-"),
    "Coterie: shamir": (BLUE, "o", "-."),
    "Coterie: shamir, 3 members": (BLUE, "o", "-."),
}
OTHERS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "D", "-."), (RED, "^", ":"), (PURPLE, "P", "-"))
LIMIT = 1e6


def draw(out: Path, panels: list[Panel]) -> None:
    """Draw the panels of a figure beside each other."""
    with picture(out, len(panels), height=5.6, width=6.4) as axes:
        for axis, panel in zip(axes, panels, strict=True):
            if panel.get("bars"):
                draw_bars(axis, panel)
            else:
                draw_lines(axis, panel)
            axis.set(title=panel["title"], xlabel=panel["x"], ylabel=panel["y"])


def draw_lines(axis: Any, panel: Panel) -> None:
    """Lines that lie on each other are thick below and thin above. Values beyond the limit are drawn at it."""
    for place, (name, line) in enumerate(panel["lines"].items()):
        colour, marker, dashes = STYLES.get(name, OTHERS[place % len(OTHERS)])
        values = [LIMIT if one is None else min(one, LIMIT) for one in line["y"]]
        below = len(panel["lines"]) - 1 - place if panel.get("overlaid") else 0
        style = {"color": colour, "marker": marker, "linestyle": dashes, "label": name}
        sizes = {"linewidth": 1.6 + 1.3 * below, "markersize": 5 + 1.2 * below}
        axis.plot(line["x"], values, **style, **sizes, markevery=max(1, len(values) // 6))
    if panel.get("log"):
        axis.set_yscale("log")
        axis.margins(y=0.12)
        plain_numbers(axis.yaxis)
    if panel.get("sizes"):
        axis.set_xscale("log")
        places = sorted({x for line in panel["lines"].values() for x in line["x"]})
        axis.set_xticks(places, [f"{x:,}" for x in places])
        axis.xaxis.minorticks_off()
    else:
        axis.xaxis.get_major_locator().set_params(integer=True)
    if panel.get("zero"):
        axis.set_ylim(0, None)
    axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)


def plain_numbers(axis: Any) -> None:
    """Give a logarithmic axis readable numbers: at 1, 2 and 5 times 10^n, or at 10^n if it spans much."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    if low > 1e-4 and high < 1e5:
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def draw_bars(axis: Any, panel: Panel) -> None:
    """A bar for each line, with its number beside it, on a logarithmic axis."""
    names = list(panel["lines"])[::-1]
    values = [panel["lines"][name]["y"][0] or 0 for name in names]
    bars = axis.barh(names, values, color=[STYLES[name][0] for name in names])
    axis.bar_label(bars, [f" {value:.2g}" if value < 100 else f" {value:.0f}" for value in values])
    axis.set_xscale("log")
    axis.margins(x=0.2)
    axis.xaxis.set_major_formatter("{x:g}")
