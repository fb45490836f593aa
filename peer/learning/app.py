"""What a peer trains: the interface that a user's own model implements, and the checks on what it returns.

An app is any object with three methods; weights are a list of numpy arrays whose shapes never change:

    initial() -> weights
    fit(weights, round) -> (weights, examples, metrics)      one round of local training
    evaluate(weights) -> (loss, examples, metrics)           on this peer's own test set

`examples` counts the rows behind the result: it is the weight of the update in the mean, and of the loss and
the metrics, which are means over those rows. `metrics` maps names to numbers. Optional:

    metrics: tuple of the names that evaluate reports to everybody, as securely summed as the loss in each round
    final_metrics: tuple of further names, which are summed only once, after the last round: for numbers that may be
                   the same in two rounds whatever the model, such as the part of a class among the rows, or an
                   accuracy. The difference of two sums over different peers would be one peer's own number
    examples: int, the number of rows that fit trains on; the default of --examples-cap follows from the founder's
    setup() -> list of floats      added up over all peers, securely, once before training
    setup_not_negative: places in the list of setup() of numbers that are never below 0, such as counts and sums of
                   squares. With --norm each member proves that (of up to 256 sums)
    prepare(totals)                receives those totals; raises for totals that no data can have. Then the peer votes
                                   against them, and they are added up anew, so there may be several calls
    fit_for(weights, round, seconds) -> (weights, examples, metrics)      called in place of fit where the founder
                   chose --round-time: trains for about so many seconds, at least one step. The round's time includes
                   evaluate, so `seconds` is what is left of it, and 0 if nothing is. An app without it cannot take
                   part in such a federation
    describe() -> str              what is trained; peers whose descriptions differ do not train together
    keep_in(folder)                receives the path of a folder of this peer, which may not exist yet, for files that
                                   the app needs after a restart; called once, before the first fit

The peer calls an app in a worker thread, one call at a time, and stores nothing else for it: after a restart,
`prepare` and the latest weights are all that it is given.
"""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol

import numpy.typing as npt

__all__ = ["App", "AppError", "is_flower", "load_app", "load_object", "log_traceback", "told", "traceback_place"]

log = logging.getLogger("coterie.app")

_METHODS: Final = ("initial", "fit", "evaluate")


class AppError(ValueError):
    """An app that cannot be loaded, failed, or returned something unusable; says what and where."""


class App(Protocol):
    """The three methods that every app has. See the module's docstring for the optional ones."""

    def initial(self) -> list[npt.NDArray[Any]]:
        """The weights to begin with; a founder's are everybody's."""

    def fit(
        self, weights: list[npt.NDArray[Any]], round: int
    ) -> tuple[Sequence[npt.NDArray[Any]], int, Mapping[str, float]]:
        """Train on this peer's data, beginning at `weights`."""

    def evaluate(self, weights: list[npt.NDArray[Any]]) -> tuple[float, int, Mapping[str, float]]:
        """Measure `weights` on this peer's test data."""


def is_flower(description: str) -> bool:
    """Whether a description is of a Flower project, as `coterie.apps.flower` writes it."""
    return description.startswith('{"app":"FlowerApp",')


def load_app(name: str, folder: str | None = None) -> Any:
    """The app that "module:object" names; a class, or a function without arguments, is called to make it.

    Modules are also looked for in ``folder``, by default the working directory.

    Raises:
        AppError: it cannot be imported or made, or lacks one of the three methods.
    """
    thing = load_object(name, folder)
    if isinstance(thing, type) or (callable(thing) and not hasattr(thing, "initial")):
        path = name.partition(":")[2]
        try:
            thing = thing()
        except (Exception, SystemExit) as error:
            log_traceback(f"app {name!r}: calling {path}()", error)
            raise AppError(f"app {name!r}: calling {path}() raised {told(error)}") from error
    missing = [method for method in _METHODS if not callable(getattr(thing, method, None))]
    if missing:
        raise AppError(f"app {name!r}: a {type(thing).__name__} has no method {', '.join(missing)}")
    return thing


def load_object(name: str, folder: str | None = None) -> Any:
    """The object that "module:object" names. Modules are also looked for in ``folder``. Raises AppError."""
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise AppError(f"app {name!r}: give it as module:object, e.g. mymodel:app")
    # A console script does not search the working directory, but a user that types `--app mymodel:app` expects that.
    place = folder or os.getcwd()
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        thing: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0]:
            log_traceback(f"app {name!r}: importing {module_name}", error)
        where = f"in {place} or among the installed ones"
        raise AppError(f"app {name!r}: no module named {error.name!r} {where}") from error
    except (Exception, SystemExit) as error:
        log_traceback(f"app {name!r}: importing {module_name}", error)
        raise AppError(f"app {name!r}: importing {module_name} raised {told(error)}") from error
    for part in path.split("."):
        if not hasattr(thing, part):
            raise AppError(f"app {name!r}: {getattr(thing, '__name__', thing)!s} has no {part!r}")
        thing = getattr(thing, part)
    return thing


def told(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def log_traceback(what: str, error: BaseException) -> None:
    """Show the operator where an app's own code failed. No other member sees this: it tells of files and data."""
    lines = traceback.format_exception(type(error), error, _own_frames(error))
    log.warning("%s\n%s", what, "".join(lines).rstrip())


def traceback_place(error: BaseException) -> tuple[object, ...]:
    """What identifies a failure of an app: the type of the exception, and the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error), frames[-1].filename, frames[-1].lineno


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback without the frames that call or import the app; the whole of it if no frame is left."""
    frames = error.__traceback__
    while frames is not None:
        file = frames.tb_frame.f_code.co_filename
        if not file.startswith((os.path.dirname(__file__), "<frozen importlib")) and file != importlib.__file__:
            return frames
        frames = frames.tb_next
    return error.__traceback__
