"""The loss of each round as a picture: over all members' test rows, and beside it over this site's own.

It needs matplotlib, which is an extra: ``pip install 'coterie[pictures]'``. It looks like the simulator's pictures: it
has the colours of Okabe and Ito, which people with any kind of colour vision can tell apart, and a marker for each.
"""

import io
import warnings
from typing import Any, Final

from ..errors import Exit, PeerError
from ..learning.metrics import label
from .rounds_text import History

__all__ = ["draw"]

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
RED: Final = "#D55E00"

LOG_FROM: Final = 30
"""If the largest value is more than this many times the smallest, the scale is logarithmic."""

_TIMELESS: Final = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata that is left out, so that two pictures of the same rounds are the same file."""


def draw(history: History, form: str) -> bytes:
    """Return a picture in the format ``form``: png, svg or pdf.

    Raises:
        ImportError: matplotlib is not installed.
        PeerError: no round has measured a model.
    """
    if not history.figures:
        raise PeerError(
            "--plot: no round has a loss yet; that takes a round of training, and test rows (--test-fraction)",
            Exit.STORE,
        )
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture = io.BytesIO()
    figure = _figure(pyplot, history)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in letters that the font lacks
        figure.savefig(picture, format=form, dpi=120, bbox_inches="tight", metadata=_TIMELESS[form])
    pyplot.close(figure)
    return picture.getvalue()


def _figure(pyplot: Any, history: History) -> Any:
    name = history.figures[0]
    figure, axes = pyplot.subplots(figsize=(9, 4))
    values = _line(axes, history.rows, name, color=BLUE, marker="o", label="all members' test rows")
    own = [{**row["own"], "round": row["round"]} for row in history.rows if row["own"] is not None]
    values += _line(axes, own, name, color=ORANGE, marker="s", linestyle="--", label="this site's own")
    if min(values) > 0 and max(values) > LOG_FROM * min(values):
        axes.set_yscale("log")
    axes.margins(y=0.12)
    axes.set_xlim(history.rows[0]["round"] - 0.5, history.rows[-1]["round"] + 0.5)
    void = [row["round"] for row in history.rows if row["result"] == "void"]
    if void:
        # At the foot of the axes, whatever their scale.
        foot = axes.get_xaxis_transform()
        axes.scatter(void, [0.03] * len(void), marker="X", color=RED, label="no result", zorder=3, transform=foot)
    axes.set_xlabel("round")
    axes.set_ylabel(f"{label(name)} of the model before it")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25, which="both")
    # Without this, dollars in a name would make a formula of it.
    axes.set_title(f"{history.genesis.name}: {history.told()}", parse_math=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _line(axes: Any, rows: Any, name: str, **look: Any) -> list[float]:
    """Draw a figure by round where it is known; return its values."""
    known = [(row["round"], row["figures"][name]) for row in rows if name in row["figures"]]
    if known:
        axes.plot(*zip(*known, strict=True), **look)
    return [value for _, value in known]
