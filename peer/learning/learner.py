"""An app behind checks: all that the rest of the peer sees of what is trained."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...protocol.ledger.contribution import NOT_NEGATIVE
from ...protocol.limits import MAX_DESCRIPTOR_BYTES, MAX_METRICS, MAX_NAME_CHARS, MAX_SETUP_SUMS
from .app import AppError, log_traceback, told, traceback_place
from .arrays import Shapes, Vector, flatten, shapes_text, unflatten

__all__ = ["MAX_EXAMPLES", "Evaluation", "Fit", "Learner"]

MAX_EXAMPLES: Final = 2**40


@dataclass(frozen=True, slots=True)
class Fit:
    """One round of local training: float32[L] weights, the examples behind them, and numbers for the local log."""

    weights: Vector
    examples: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over `examples` test rows: the loss, then the metrics and the final metrics in the order of their names."""

    loss: float
    examples: int
    metrics: tuple[float, ...]


@dataclass(slots=True)
class Learner:
    """An app behind checks: vectors in, checked vectors out, AppError for everything else that an app does.

    `name` stands in the errors. Raises AppError at once for unusable initial weights, metrics or description.
    """

    app: Any
    name: str = "app"
    round_seconds: float | None = field(init=False, default=None)
    """How long the app trains in a round, as much as it can; None: as much as it wants. See `time_rounds`."""
    shapes: Shapes = field(init=False)
    """Shapes of the weights."""
    metrics: tuple[str, ...] = field(init=False)
    """Names of the metrics that go into the secure sum of each round."""
    final_metrics: tuple[str, ...] = field(init=False)
    """Names of the metrics that only the evaluation after the last round adds up; none if the federation has no use
    for them (see `Genesis.final_metrics`).
    """
    descriptor: str = field(init=False)
    """What is trained; equal among all members."""
    examples: int | None = field(init=False)
    """How many rows the app trains on; None if it does not say."""
    _initial: Vector = field(init=False, repr=False)
    _told: set[object] = field(init=False, repr=False, default_factory=set)
    """Where the app failed before: its operator has seen the traceback."""

    def __post_init__(self) -> None:
        self._initial, self.shapes = flatten(self._call("initial"), f"{self.name}.initial()")
        self.metrics = self._metric_names("metrics")
        self.final_metrics = self._metric_names("final_metrics")
        twice = sorted({*self.metrics} & {*self.final_metrics})
        if twice:
            raise AppError(f"{self.name}: {twice[0]!r} is among its metrics and its final_metrics")
        self.descriptor = self._description()
        # An app may well keep its data under this name; only a whole number is a count.
        count = self._attribute("examples", None)
        self.examples = self._examples(count, "examples") if isinstance(count, int | np.integer) else None

    def initial(self) -> Vector:
        """The initial weights, float32[L]."""
        return self._initial.copy()

    def setup(self) -> list[float]:
        """This peer's setup sums; [] when the app has none."""
        if not callable(getattr(self.app, "setup", None)):
            return []
        sums = self._call("setup")
        if not isinstance(sums, Sequence | np.ndarray) or len(sums) > MAX_SETUP_SUMS:
            raise AppError(f"{self.name}.setup() must return a list of at most {MAX_SETUP_SUMS} floats")
        return [self._number(value, f"setup()[{i}]") for i, value in enumerate(sums)]

    def setup_declared(self) -> bytes:
        """What is proved of each setup sum, as the genesis has it (`Bounds.setup_declared`); b"" for nothing of any."""
        sums = self.setup()
        places = self._attribute("setup_not_negative", ())
        known = isinstance(places, Sequence | range) and all(isinstance(one, int | np.integer) for one in places)
        if not known or not all(0 <= one < len(sums) for one in places):
            raise AppError(f"{self.name}.setup_not_negative must be places in the list of setup(), from 0 on")
        declared = bytearray(len(sums))
        for one in places:
            if sums[one] < 0:
                raise AppError(f"{self.name}.setup()[{one}] is {sums[one]}, and setup_not_negative names it")
            declared[one] = NOT_NEGATIVE
        return bytes(declared).rstrip(b"\0")

    def prepare(self, totals: Sequence[float]) -> None:
        """Hand over the setup sums of all peers together."""
        if callable(getattr(self.app, "prepare", None)):
            self._call("prepare", list(totals))

    def keep_in(self, folder: Path) -> None:
        """Tell the app, if it wants to know, in which folder of this peer it may keep files."""
        if callable(getattr(self.app, "keep_in", None)):
            self._call("keep_in", folder)

    def time_rounds(self, seconds: float | None) -> None:
        """Have the app train for so many seconds in each round. Raises AppError if it cannot."""
        if seconds is not None and not callable(getattr(self.app, "fit_for", None)):
            raise AppError(
                f"{self.name}: the federation's rounds go by time (--round-time), and the app has no method"
                " fit_for(weights, round, seconds)"
            )
        self.round_seconds = seconds

    def fit(self, weights: Vector, round: int, seconds: float | None = None) -> Fit:
        """One round of local training from the agreed float32[L] `weights`, which stay as they are.

        ``seconds``: how long the app is to train; None: as much as it wants.
        """
        method, more = ("fit", ()) if seconds is None else ("fit_for", (seconds,))
        result = self._call(method, unflatten(weights, self.shapes), round, *more)
        arrays, examples, metrics = self._triple(result, method, "(weights, examples, metrics)")
        vector, shapes = flatten(arrays, f"weights from {self.name}.{method}()")
        if shapes != self.shapes:
            raise AppError(
                f"{self.name}.{method}() changed the model: it began as {shapes_text(self.shapes)} "
                f"and came back as {shapes_text(shapes)}"
            )
        return Fit(vector, self._examples(examples, f"{method}() examples"), self._named(metrics, method))

    def evaluate(self, weights: Vector) -> Evaluation:
        """Measure float32[L] `weights` on this peer's test rows; 0 examples where it has none."""
        result = self._call("evaluate", unflatten(weights, self.shapes))
        loss, examples, metrics = self._triple(result, "evaluate", "(loss, examples, metrics)")
        count = self._examples(examples, "evaluate() examples")
        names = (*self.metrics, *self.final_metrics)
        if count == 0:
            return Evaluation(0.0, 0, (0.0,) * len(names))
        named = self._named(metrics, "evaluate")
        for announced, among in (("metrics", self.metrics), ("final_metrics", self.final_metrics)):
            missing = ", ".join(name for name in among if name not in named)
            if missing:
                raise AppError(f"{self.name}.evaluate() reported no {missing}, announced by {self.name}.{announced}")
        return Evaluation(self._number(loss, "evaluate() loss"), count, tuple(named[name] for name in names))

    def _call(self, method: str, *arguments: object) -> Any:
        return self._of_app(f"{method}()", lambda: getattr(self.app, method)(*arguments))

    def _attribute(self, name: str, default: object) -> Any:
        return self._of_app(name, lambda: getattr(self.app, name, default))

    def _of_app(self, what: str, get: Callable[[], Any]) -> Any:
        """What the app's own code gives. An exception becomes an AppError, and the operator sees its traceback once."""
        try:
            return get()
        except AppError:
            raise
        except (Exception, SystemExit) as error:
            text = f"{self.name}.{what} raised {told(error)}"
            place = traceback_place(error)
            # The peer's own app for tables refuses impossible totals by a ValueError: no bug of the operator's code.
            is_ours = type(self.app).__module__.startswith(__package__)
            is_refusal = is_ours and isinstance(error, ValueError)
            if place not in self._told and not is_refusal:
                self._told.add(place)
                log_traceback(text, error)
            if is_ours and not is_refusal:
                # All members are told the reason, and numpy's message for a lack of memory has the number of rows.
                text = f"{self.name}.{what} raised {type(error).__name__}"
            raise AppError(text) from error

    def _triple(self, result: Any, method: str, parts: str) -> tuple[Any, Any, Any]:
        if not isinstance(result, tuple | list) or len(result) != 3:
            raise AppError(f"{self.name}.{method}() must return {parts}, not {type(result).__name__}")
        return result[0], result[1], result[2]

    def _number(self, value: Any, where: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise AppError(f"{self.name}.{where} is {value!r:.60}, not a number") from None
        if not math.isfinite(number):
            raise AppError(f"{self.name}.{where} is {number}")
        return number

    def _examples(self, value: Any, where: str) -> int:
        number = self._number(value, where)
        if number != int(number) or not 0 <= number <= MAX_EXAMPLES:
            raise AppError(f"{self.name}.{where} is {value!r}, not a count from 0 to {MAX_EXAMPLES}")
        return int(number)

    def _named(self, metrics: Any, method: str) -> dict[str, float]:
        if metrics is None:
            return {}
        if not isinstance(metrics, Mapping):
            raise AppError(f"{self.name}.{method}() metrics must map names to numbers, not {type(metrics).__name__}")
        return {str(key): self._number(value, f"{method}() metric {key!r}") for key, value in metrics.items()}

    def _metric_names(self, attribute: str) -> tuple[str, ...]:
        names, where = self._attribute(attribute, ()), f"{self.name}.{attribute}"
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise AppError(f"{where} must be a tuple of names, not {names!r:.60}")
        for name in names:
            if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARS:
                raise AppError(f"{where}: {name!r:.80} is no name of 1 to {MAX_NAME_CHARS} characters")
        if len(names) > MAX_METRICS or len(set(names)) != len(names):
            raise AppError(f"{where}: at most {MAX_METRICS} different names")
        return tuple(names)

    def _description(self) -> str:
        text = self._call("describe") if callable(getattr(self.app, "describe", None)) else json.dumps({"kind": "app"})
        if not isinstance(text, str) or len(text.encode()) > MAX_DESCRIPTOR_BYTES:
            raise AppError(f"{self.name}.describe() must return a text of at most {MAX_DESCRIPTOR_BYTES} bytes")
        return text
