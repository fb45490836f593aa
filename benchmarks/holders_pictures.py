"""Pictures of the figures that `holders` measures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from holders import Measured, Precision

mpl.use("Agg")

COLOURS = {"matrix": "#c1432e", "Newton": "#7a6bb5", "NTT": "#1f7a8c"}
LABELS = {"matrix": "Lagrange matrix", "Newton": "Newton's differences", "NTT": "transform (NTT)"}
DASHES = ("dotted", "solid", "dashed")
PARTS = ("a quarter", "half", "three quarters")


def draw_ways(measured: Sequence["Measured"], path: Path) -> None:
    """Draw time against holders, with a line for each way and threshold."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    parts = len(DASHES)
    holders = [m.holders for m in measured[::parts]]
    for axis, title, field in zip(axes, ("Sharing", "Reconstruction"), ("share", "reconstruct"), strict=True):
        for way, colour in COLOURS.items():
            for part, dashes in enumerate(DASHES):
                costs = [getattr(m, field).get(way) for m in measured[part::parts]]
                if None not in costs:
                    each = [cost.each for cost in costs]
                    axis.plot(holders, each, color=colour, linestyle=dashes, marker="o", markersize=3)
        axis.set(title=title, xscale="log", yscale="log", xlabel="holders")
        axis.set_xticks([8, 16, 32, 64, 128, 256, 512, 1024], minor=False)
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.xaxis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ns per share and secret")
    for way, colour in COLOURS.items():
        axes[1].plot([], [], color=colour, label=LABELS[way])
    for part, dashes in zip(PARTS, DASHES, strict=True):
        axes[1].plot([], [], color="grey", linestyle=dashes, label=f"{part} of them needed")
    axes[1].legend(fontsize=8)
    _save(figure, path)


def draw_precision(found: Sequence["Precision"], path: Path) -> None:
    """Draw error and time against bits."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    bits = [p.bits for p in found]
    left.plot(bits, [p.error for p in found], color=COLOURS["NTT"], marker="o", markersize=3)
    left.axhline(2.0**-24, color="grey", linestyle="dashed", linewidth=1)
    left.text(bits[0], 2.0**-24 * 1.4, "rounding of float32 at 1", fontsize=8, color="grey")
    left.set(title="Error of the mean of 10 updates", yscale="log", xlabel="bits of a value", ylabel="root mean square")
    right.step(bits, [p.milliseconds for p in found], where="mid", color=COLOURS["matrix"])
    for slots in {p.slots for p in found}:
        step = [p for p in found if p.slots == slots]
        wide = len(step) > 1
        values = "1 value an element" if slots == 1 else f"{slots} values" if wide else str(slots)
        place = step[0].bits - 0.8 if wide else step[0].bits
        right.text(place, step[0].milliseconds * 1.02 + 0.3, values, fontsize=9, ha="left" if wide else "center")
    right.set(title="A million parameters, 10 holders: share and reconstruct", xlabel="bits of a value", ylabel="ms")
    right.set_ylim(0, max(p.milliseconds for p in found) * 1.2)
    for axis in (left, right):
        axis.axvline(22, color="black", linewidth=0.8)
        axis.grid(alpha=0.3)
    right.text(22.3, 1, "22 bits, as built", fontsize=8)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
