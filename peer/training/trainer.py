"""From the settings to a learner, and from its training to the contribution to a round."""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...crypto.sharing.fixed_point import WIDE_RANGE_BITS
from ...protocol.jobs import Contribution, Train
from ...protocol.ledger.genesis import Genesis
from ...protocol.messages.encoding import digest_of
from ..errors import Exit, PeerError
from ..home.settings import Settings
from ..learning.app import AppError
from ..learning.arrays import Shapes, Vector, unflatten
from ..learning.learner import Evaluation, Learner
from ..learning.metrics import Measured
from ..learning.table_models.models import Hyperparameters
from ..learning.table_models.survey import question, summary
from ..learning.table_models.tables_app import MANY_CLASSES, TableApp
from ..learning.table_models.task import TaskMismatch
from ..learning.tables.cells import normal_label
from ..learning.tables.level_files import read_level_file
from ..learning.tables.opening import check_is_file, opened
from ..learning.tables.schema import Wishes, check_edges
from ..learning.tables.troubles import TableError, on_one_line
from .own_app import own_app

if TYPE_CHECKING:
    from ..learning.table_models.task import Kind

DEFAULT_MODEL: Final = "linear"
_NOTHING_TO_TRAIN: Final = "nothing to train: give --data FILE.csv, --app module:object or --flower DIR"
_CLASSES: Final = "--model logistic"
_NEGATIVE_ZERO: Final = 0x80000000
"""The bits of -0.0 in float32."""
_SHOWN_ARRAYS: Final = 5
_SHOWN_OPTIONS: Final = 3
_TOO_LATE: Final = "it harms the model of all members: correct it, and found a new federation with the same members"
_IN_TIME: Final = (
    "correct it, and start this peer again; the setup sums do not contain it, because this peer joined after them"
)

log = logging.getLogger("coterie.training")


class DataProblem(PeerError):
    """The data or the app cannot be used; the message says what is wrong and where."""

    code = Exit.DATA


class ModelMismatch(PeerError):
    """This peer's model is not the federation's; the message shows both."""

    code = Exit.MODEL


def founder_learner(settings: Settings) -> Learner:
    """Return the learner of a founder, which fixes the model for everybody.

    Raises:
        DataProblem: the data or the app cannot be used.
        PeerError: options are missing.
    """
    return _explained(lambda: _timed(_found(settings), settings.round_time or None))


def member_learner(settings: Settings, genesis: Genesis, *, trains: bool = True) -> Learner:
    """Return the learner of a member, after a check that it trains what the federation trains.

    Args:
        settings: the settings of the peer.
        genesis: the genesis of the federation.
        trains: whether the learner will contribute to the federation's sums; then these may not give its rows away.

    Raises:
        DataProblem: the data or the app cannot be used.
        ModelMismatch: it is another model; the message shows both shapes.
        PeerError: options are missing.
    """
    seconds = None if genesis.round_time_ms is None else genesis.round_time_ms / 1000
    learner = _explained(lambda: _timed(_adopt(settings, genesis), seconds))
    if trains and isinstance(learner.app, TableApp) and learner.app.telling:
        raise ModelMismatch(
            f"the federation adds up {learner.app.telling[0]!r} in each round, which reveals the rows of a member"
            " that misses a round; it was founded with an older version: found it anew, with the same members"
        )
    if isinstance(learner.app, TableApp) and {*genesis.final_metrics} <= {*learner.final_metrics}:
        learner.final_metrics = genesis.final_metrics  # an older version knew fewer
    check_model(learner, genesis)
    learner.final_metrics = genesis.final_metrics  # none where they were added up before
    return learner


def check_source(settings: Settings) -> None:
    """Check what a joiner trains on, as far as that is possible before its federation is known.

    Raises:
        DataProblem: the table cannot be opened, or is no text.
        PeerError: there is neither a table nor an app.
    """
    if settings.data is not None:
        try:
            check_is_file(Path(settings.data))
            with opened(Path(settings.data)):
                pass
        except TableError as error:
            raise DataProblem(str(error)) from None
    elif settings.app is None:
        raise PeerError(_NOTHING_TO_TRAIN)


def check_model(learner: Learner, genesis: Genesis) -> None:
    """Compare a model with the federation's.

    Raises:
        ModelMismatch: they differ; the message shows both.
    """
    if differences := _other_options(genesis.model, learner.descriptor):
        shown, more = differences[:_SHOWN_OPTIONS], len(differences) - _SHOWN_OPTIONS
        raise ModelMismatch(f"the apps differ in {'; '.join(shown)}" + (f"; and {more} more" if more > 0 else ""))
    if learner.shapes != genesis.shapes:
        raise ModelMismatch(
            f"the models differ in shape: the federation's is {_shapes(genesis.shapes)}, yours is"
            f" {_shapes(learner.shapes)}; change --model, --hidden, --data or --app"
        )
    for what, theirs, ours in (
        ("description", genesis.model, learner.descriptor),
        ("metrics", genesis.metrics, learner.metrics),
        ("final metrics", genesis.final_metrics, learner.final_metrics if genesis.final_metrics else ()),
        ("number of setup sums", genesis.setup_sums, len(learner.setup())),
        ("setup sums that are never negative", *_never_negative(learner, genesis)),
    ):
        if theirs != ours:
            raise ModelMismatch(f"the models differ in their {what}: the federation's is {theirs}, yours is {ours}")


def _never_negative(learner: Learner, genesis: Genesis) -> tuple[list[int], list[int]]:
    """Return the places of the setup sums that are proved not to be negative, the federation's and this app's."""
    bounds = genesis.bounds
    if bounds is None:
        return [], []
    theirs, ours = bounds.setup_declared, learner.setup_declared()
    return [place for place, one in enumerate(theirs) if one], [place for place, one in enumerate(ours) if one]


def check_initial_weights(learner: Learner, genesis: Genesis) -> None:
    """Refuse initial weights that the founder may have chosen so that sums reveal single rows.

    The initial weights of a model on tables follow from its task, which is checked here. Those of the user's own app
    are the founder's to choose. In a federation that continues another one, members compare them by ``--continues``.

    Raises:
        ModelMismatch: the weights are not those that follow from the task.
    """
    if genesis.continued is None and isinstance(learner.app, TableApp):
        follows = digest_of((learner.initial() + 0.0).astype("<f4").tobytes())
        if genesis.weights_hash != follows:
            raise ModelMismatch(
                f"the federation's initial weights ({genesis.weights_hash.hex()[:16]}…) are not those that follow from"
                f" its task ({follows.hex()[:16]}…): its founder chose other weights, and these could make the sums"
                " reveal single rows; this peer takes no part"
            )


def _other_options(theirs: str, ours: str) -> list[str]:
    """Say in which options two descriptions of apps differ; an empty list if one of them describes no app."""
    try:
        fields = [json.loads(text) for text in (theirs, ours)]
    except ValueError:
        return []
    if not all(isinstance(one, dict) and isinstance(one.get("app"), str) for one in fields):
        return []
    flat = [
        {f"{name}.{key}" if key else name: value for name, part in one.items() for key, value in _parts(part)}
        for one in fields
    ]
    names = dict.fromkeys((*flat[0], *flat[1]))
    sides = {name: [json.dumps(one[name]) if name in one else "missing" for one in flat] for name in names}
    return [f"{name}: the federation's is {one}, yours is {two}" for name, (one, two) in sides.items() if one != two]


def _parts(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else [("", value)]


class Trainer:
    """Makes the contributions that the node asks for. It is called in a worker thread, one call at a time."""

    def __init__(
        self,
        learner: Learner,
        clip: float = math.inf,
        *,
        tells_oddities: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the trainer of one run.

        Args:
            learner: what trains.
            clip: the largest change of an element of the weights that the federation allows; infinite where it
                bounds the norm of the update.
            tells_oddities: tell oddities that the totals show; False if an earlier run has told them already.
            clock: tells seconds, by which a round by time ends.
        """
        self._clock = clock
        self.learner = learner
        self._tells_oddities = tells_oddities
        self._clip = clip
        self._beyond: list[str] = []
        self._prepared: tuple[float, ...] | None = None
        self._measured: tuple[int, Measured] | None = None

    def __call__(self, train: Train) -> Contribution:
        """Train, evaluate, or add up what the setup round asks for.

        Raises:
            AppError: the app failed, or returned something unusable.
        """
        entropy, began = os.urandom(32), self._clock()
        if train.kind == "setup":
            sums = tuple(_summable(value, f"setup sum {i}", "") for i, value in enumerate(self.learner.setup()))
            return Contribution(self.learner.examples or 1, sums, entropy)
        if train.totals is not None:
            self.prepare(train.totals)
        weights = np.frombuffer(train.weights, dtype="<f4")
        _check_zeros(weights)
        evaluation = self.learner.evaluate(weights)
        is_last = train.kind == "evaluate"
        names = (*self.learner.metrics, *self.learner.final_metrics) if is_last else self.learner.metrics
        sums = _sums(evaluation, names)
        self._measured = (train.round, _measured(evaluation, names)) if evaluation.examples else None
        if is_last:
            return Contribution(max(1, evaluation.examples), sums, entropy)
        seconds = self.learner.round_seconds
        # What measuring took is part of the round: the others wait for the dealing and not for the training alone.
        left = None if seconds is None else max(0.0, seconds - (self._clock() - began))
        fit = self.learner.fit(weights, train.round, left)
        update = fit.weights - weights
        self._beyond = _arrays_beyond(update, self.learner.shapes, self._clip)
        return Contribution(fit.examples, sums, entropy, update)

    def measured(self, round: int) -> Measured | None:
        """Return the figures over this site's own test rows of the model with which a round began.

        They are known for the newest round only; None for any other.
        """
        measured = self._measured  # read once, since a worker thread sets it
        return measured[1] if measured is not None and measured[0] == round else None

    def own_loss(self, round: int) -> float | None:
        """Return the loss among the figures of :meth:`measured`; None if they are not known."""
        measured = self.measured(round)
        return None if measured is None else measured.loss

    def clip_advice(self) -> str:
        """Say in which arrays the last update was clipped, and what changes that."""
        where = f"{'; '.join(self._beyond)}; " if self._beyond else ""
        if isinstance(self.learner.app, TableApp):
            return f"{where}a federation founded with a smaller --learning-rate or fewer --steps avoids that"
        if math.isinf(self._clip):
            return f"take smaller steps in {self.learner.name}.fit(), if this is told in many rounds"
        return (
            f"{where}take smaller steps in {self.learner.name}.fit(), or train numbers of another scale; only a founder"
            f" can choose a larger --clip than {self._clip:g}"
        )

    def prepare(self, totals: tuple[float, ...]) -> None:
        """Have the app use the totals of the setup round, unless it does already.

        Raises:
            AppError: it cannot use them; then this peer does not vote for them.
        """
        if totals != self._prepared:
            self._prepared = None
            self.learner.prepare(totals)
            self._prepared = totals
            if self._tells_oddities:
                _tell_oddities(self.learner)


def told_table(learner: Learner) -> str | None:
    """Say what was read of a table, and how long a round of training is where time says it; None if neither is."""
    table = [summary(learner.app)] if isinstance(learner.app, TableApp) else []
    seconds = learner.round_seconds
    timed = [] if seconds is None else [f"{learner.name}: {explain_round_time(seconds)}"]
    return "\n".join([*table, *timed]) or None


def explain_round_time(seconds: float) -> str:
    """Say what rounds by time are."""
    return (
        f"each member trains for {seconds:g} s in each round, as much as it can (the founder's --round-time); a member"
        " that does more steps moves the model further, whatever its number of rows"
    )


def wishes_of(settings: Settings) -> Wishes:
    """Return what a founder says of its columns: the levels of categories, and which may have gaps.

    Raises:
        PeerError: a column has two medians, or its bins have no possible edges; or a file holds no levels.
    """
    levels: dict[str, tuple[str, ...]] = {}
    for text in settings.levels:
        column, _, named = text.partition("=")
        levels[column.strip()] = tuple(filter(None, (level.strip() for level in named.split(","))))
    gaps = filter(None, (settings.gaps or "").split(","))
    collected = _collected(settings)
    twice = sorted(column for column in collected if levels.get(column))
    if twice:
        raise PeerError(
            f"--levels {on_one_line(twice[0])}=…: it names all levels of this column, and --levels-from would add"
            " others; leave one of the two out, or give the column without levels"
        )
    return Wishes(levels, tuple(gaps), settings.gaps == "", _medians(settings), collected)


def _collected(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the levels of other sites by their columns."""
    found: dict[str, set[str]] = {}
    for file in settings.levels_from:
        try:
            for column, levels in read_level_file(Path(file)).items():
                found.setdefault(column, set()).update(levels)
        except TableError as error:
            raise DataProblem(f"--levels-from {error}") from None
    return {column: tuple(sorted(levels)) for column, levels in found.items()}


def _medians(settings: Settings) -> dict[str, tuple[float, ...]]:
    """Return the columns whose gaps stand as the median, with the edges of their bins."""
    found: dict[str, tuple[float, ...]] = {}
    for text in settings.median:
        column, _, edges = text.rpartition("=")
        if column.strip() in found:
            raise PeerError(f"--median {text}: name each column once")
        found[column.strip()] = tuple(map(float, edges.split(",")))
        try:
            check_edges(column.strip(), found[column.strip()])
        except ValueError as error:
            raise PeerError(f"--median {text}: {error}") from None
    return found


def published_classes(learner: Learner) -> str | None:
    """Remind a founder of the class labels that it publishes; None if there are few or none."""
    if not isinstance(learner.app, TableApp) or len(learner.app.task.classes) <= MANY_CLASSES:
        return None
    task = learner.app.task
    readers = "all members, and everybody that can connect to a member,"
    return f"{readers} can read the {len(task.classes)} classes of {task.target!r} in the genesis"


def _arrays_beyond(update: Vector, shapes: Shapes, clip: float) -> list[str]:
    """Say which arrays of an update have elements beyond the clip, how many, and how large."""
    if max(update.max(), -update.min()) <= clip:
        return []
    told = []
    for index, array in enumerate(unflatten(update, shapes)):
        sizes = np.abs(array)
        count = int((sizes > clip).sum())
        if count:
            told.append(f"array_{index}: {count} of {array.size}, up to {float(sizes.max()):.3g}")
    return told if len(told) <= _SHOWN_ARRAYS else [*told[:_SHOWN_ARRAYS], f"{len(told) - _SHOWN_ARRAYS} more arrays"]


def _tell_oddities(learner: Learner) -> None:
    """Log what only the totals show: columns that are of no use, and values that are probably mistakes."""
    if not isinstance(learner.app, TableApp):
        return
    ignored = learner.app.constant_columns
    if ignored:
        shown = ", ".join(map(repr, ignored[:10])) + (" …" if len(ignored) > 10 else "")
        log.warning("%s: ignored, because they have the same value in all rows of all peers: %s", learner.name, shown)
    for outlier in learner.app.outliers:
        advice = _TOO_LATE if learner.app.is_summed else _IN_TIME
        log.warning("%s, %s; if it is a typing error, %s", learner.name, outlier, advice)


def _check_zeros(weights: Vector) -> None:
    """Refuse a model with a negative zero, which no sum makes.

    The next sum makes that zero positive, so the model has another hash, though its values are the same. Then the same
    updates could be added up once more, over other members (safety rule 8).

    Raises:
        AppError: the model has one.
    """
    if (weights.view(np.uint32) == _NEGATIVE_ZERO).any():
        raise AppError("the model to begin with has a negative zero: its founder made it so")


def _measured(evaluation: Evaluation, names: tuple[str, ...]) -> Measured:
    # An evaluation may have metrics that the round does not add up.
    return Measured(evaluation.examples, evaluation.loss, dict(zip(names, evaluation.metrics, strict=False)))


def _sums(evaluation: Evaluation, names: tuple[str, ...]) -> tuple[float, ...]:
    count = evaluation.examples
    means = zip(("loss", *names), (evaluation.loss, *evaluation.metrics[: len(names)]), strict=True)
    return (float(count), *(_summable(mean * count, name, f" over {count} examples") for name, mean in means))


def _summable(value: float, what: str, over: str) -> float:
    """Return a number for the secure sum, if the sum has room for it.

    All members are told the error, so it holds neither the number nor the count of rows. If a liar chose the model, the
    loss over a single test row would tell what is in that row. The operator is told both, in the log.

    Args:
        value: the number.
        what: the name of the number.
        over: words that say how many rows are behind it, or nothing.

    Raises:
        AppError: the sum has no room for it.
    """
    if not abs(value) < 2.0**WIDE_RANGE_BITS:
        limit = f"a secure sum holds less than {2.0**WIDE_RANGE_BITS:.2g}"
        log.warning("%s%s adds up to %g, and %s", what, over, value, limit)
        raise AppError(f"{what} adds up to too much: {limit}")
    return value


def _timed(learner: Learner, seconds: float | None) -> Learner:
    learner.time_rounds(seconds)
    return learner


def _found(settings: Settings) -> Learner:
    if settings.app is not None:
        return own_app(settings)
    if settings.data is None:
        raise PeerError("nothing to train: give --data FILE.csv --target COLUMN, --app module:object or --flower DIR")
    if settings.target is None:
        raise PeerError(f"which column of {settings.data} is to be predicted? Give --target COLUMN")
    try:
        app = _found_table(settings, _kind(settings) or DEFAULT_MODEL)
        if settings.model is None and (asked := question(app)) is not None:
            raise TableError(asked)
    except TableError as error:
        problem = DataProblem(str(error))
        if settings.model is None and _CLASSES in str(error) and _holds_classes(settings):
            problem.option = _CLASSES
        raise problem from error
    return Learner(app, app.table.name)


def _found_table(settings: Settings, kind: "Kind") -> TableApp:
    assert settings.data is not None
    assert settings.target is not None
    return TableApp.found(
        settings.data,
        settings.target,
        kind,
        hidden=settings.hidden,
        classes=settings.classes,
        class_weights=_class_weights(settings),
        training=Hyperparameters(settings.learning_rate, settings.steps, settings.batch),
        columns=settings.columns or None,
        ignore=settings.ignore,
        wishes=wishes_of(settings),
        test_fraction=settings.test_fraction,
        seed=settings.seed,
    )


def _class_weights(settings: Settings) -> dict[str, float]:
    """Return the weights that a founder gives to classes, by their labels."""
    parts = [text.rpartition("=") for text in settings.class_weights]
    found = {normal_label(label): float(weight) for label, _, weight in parts}
    if len(found) < len(parts):
        raise ValueError(f"--class-weights {','.join(settings.class_weights)}: name each class once")
    return found


def _holds_classes(settings: Settings) -> bool:
    """Return whether the table can be used to predict a class; it may have faults beside the kind of its target."""
    try:
        _found_table(settings, "logistic")
    except ValueError:
        return False
    return True


def _adopt(settings: Settings, genesis: Genesis) -> Learner:
    if settings.app is not None:
        return own_app(settings)
    if settings.data is None:
        raise PeerError(_NOTHING_TO_TRAIN)
    app = TableApp.adopt(
        genesis.model,
        settings.data,
        target=settings.target,
        kind=_kind(settings),
        columns=settings.columns or None,
        ignore=settings.ignore,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        reported=genesis.metrics,
    )
    _check_expected("hidden", settings.hidden, app.task.hidden)
    _check_expected("classes", tuple(sorted(map(normal_label, settings.classes))), tuple(sorted(app.task.classes)))
    return Learner(app, app.table.name)


def _kind(settings: Settings) -> "Kind | None":
    return settings.model  # type: ignore[return-value]  # argparse knows the choices


def _check_expected(option: str, mine: tuple[object, ...], theirs: tuple[object, ...]) -> None:
    """Check that an option that a joiner gave, if any, has the value that the federation has."""
    if mine and mine != theirs:
        had, wanted = (on_one_line(",".join(map(str, one))) or "none" for one in (theirs, mine))
        raise TaskMismatch(
            f"--{option}: the federation's is {had}, and not {wanted}; leave --{option} out to take the federation's"
        )


def _explained(make: Callable[[], Learner]) -> Learner:
    try:
        return make()
    except TaskMismatch as error:
        raise ModelMismatch(str(error)) from None
    except (AppError, TableError, ValueError) as error:
        raise DataProblem(str(error)) from error


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " ".join("x".join(map(str, shape)) or "scalar" for shape in shapes[:20]) + (" …" * (len(shapes) > 20))
