"""Estimators of scikit-learn, trained together: `SklearnApp` makes an app of one.

    app = SklearnApp(LogisticRegression(), rows, labels, classes=["benign", "malignant"])

A part of the user's rows is kept for testing. Inputs, and the target of a regressor, are standardised with the means
and deviations over all members' training rows. These follow from sums that are added up securely and exactly before the
training begins (see :mod:`coterie.peer.learning.table_models.moments`). So the weights are small numbers, as `--clip`
needs, and mean the same at all members.

The loss is the log loss where the estimator knows probabilities, otherwise the mean hinge loss; for a regressor it is
the mean square error in the target's own units. Each round also has the Brier score, or the mean absolute error. The
accuracy is measured once, at the end: it can be the same number in two rounds whatever the model is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.learning.table_models.moments import never_negative, read_moments, sums_of_columns
from ..peer.learning.tables.table import held_out
from ..peer.system.extras import load
from ..protocol.limits import MAX_SETUP_SUMS
from .description import as_json, description, exported
from .estimators import Course, wrapped
from .row_split import Matrix, check_summable, codes_of, column_names, matrix, numbers

__all__ = ["SklearnApp"]

_VERSION: Final = 1
"""Version of the rules of training. Members with different versions do not train together."""

_LEAST_PROBABILITY: Final = 1e-12
"""Least probability of the true class in the log loss, which so stays finite."""

Arrays = Sequence[npt.NDArray[Any]]


class SklearnApp:
    """An estimator of scikit-learn and the rows of this site, as an app."""

    def __init__(
        self,
        estimator: Any,
        rows: Any,
        targets: Any,
        *,
        classes: Sequence[Any] = (),
        columns: Sequence[str] | None = None,
        passes: int | None = None,
        scale: bool = True,
        unit: float | None = None,
        test_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        """Make an app of an estimator.

        The estimator's options, `classes`, `columns`, `passes`, `scale` and `unit` must be equal at all members. Each
        site has its own `test_fraction` and `seed`.

        Args:
            estimator: one that has not been fitted.
            rows: the inputs of all rows of this site: a table of numbers, or a data frame.
            targets: a class or a number for each row.
            classes: for a classifier, all classes that there can be, in one order.
            columns: the names of the inputs in their order; by default those of a data frame.
            passes: passes over the rows in each round, by default 5. For LogisticRegression and LinearSVC the number of
                iterations, by default 2.
            scale: whether to standardise.
            unit: the weight that counts as 1 when weights are sent, so that an update is clipped beyond `unit` times
                `--clip`. By default 16 for SGD*, whose first steps are long, and 1 for the others.
            test_fraction: the part of the rows that is kept for testing.
            seed: of the choice of the test rows.

        Raises:
            AppError: the estimator, an option or a row cannot be trained with; says why.
            MissingPackage: scikit-learn is not installed.
        """
        self._names = column_names(rows, columns)
        self._is_frame = hasattr(rows, "columns")
        self._x = matrix(rows, self._names)
        self._classes = list(classes)
        count = self._x.shape[1]
        self._estimator = wrapped(estimator, count, len(self._classes))
        self._passes = int(self._estimator.passes if passes is None else passes)
        # The second condition finds a fraction, which int() has cut off.
        if self._passes < 1 or self._passes != (passes or self._passes):
            raise AppError(f"passes is {passes!r}: a whole number from 1 is needed")
        self._unit = float(self._estimator.unit if unit is None else unit)
        if not 0 < self._unit < np.inf:
            raise AppError(f"unit is {unit!r}: a number above 0 is needed")
        is_classifier = load("sklearn.base", "SklearnApp", "sklearn").is_classifier(estimator)
        if is_classifier and len(set(self._classes)) != max(2, len(self._classes)):
            raise AppError(
                f"classes is {self._classes!r:.80}: a {self._estimator.name} needs all that there can be, two or more, "
                "each once, in the same order at all members"
            )
        if self._classes and not is_classifier:
            raise AppError(f"a {self._estimator.name} predicts a number and knows no classes")
        self._y: Any = (
            codes_of(targets, len(self._x), self._classes) if self._classes else numbers(targets, len(self._x))
        )
        self._scale = scale
        try:
            blank = self._estimator.blank()
        except (ValueError, TypeError) as error:
            raise AppError(f"{self._estimator.name}: {error}") from None
        self._initial = [array / self._unit for array in self._estimator.weights(blank)]
        self._tested = held_out(len(self._x), test_fraction, seed)
        self._sums = self._own_sums()
        self._all_rows = 0
        self._mean, self._deviation = np.zeros(count), np.ones(count)
        self._target_mean, self._target_deviation = 0.0, 1.0
        self._has_probabilities = self._classes != [] and hasattr(blank, "predict_proba")
        self.metrics = ("brier",) if self._has_probabilities else () if self._classes else ("mae",)
        self.final_metrics = ("accuracy",) if self._classes else ()
        self.examples = int((~self._tested).sum())

    def describe(self) -> str:
        """The description, which must be equal at all members."""
        return description(
            "SklearnApp",
            _VERSION,
            estimator=self._estimator.name,
            options=as_json(self._estimator.options),
            classes=as_json(self._classes),
            columns=self._names if self._names is not None else self._x.shape[1],
            passes=self._passes,
            scale=self._scale,
            unit=self._unit,
        )

    def initial(self) -> list[npt.NDArray[Any]]:
        """The initial weights, which follow from the estimator's options."""
        return [array.copy() for array in self._initial]

    def setup(self) -> list[float]:
        """The sums over this site's training rows that are added up over all members before the first round.

        They are the number of rows and, with `scale`, the sums from which means and deviations follow.
        """
        return self._sums

    @property
    def setup_not_negative(self) -> list[int]:
        """The places in `setup` of numbers that are never below 0, which dealings can prove."""
        return never_negative(self._x.shape[1] + (not self._classes)) if self._scale else [0]

    def prepare(self, totals: Sequence[float]) -> None:
        """Standardise with the sums of all members.

        Raises:
            ValueError: no data have such sums.
        """
        width = len(self._columns()) if self._scale else 0
        moments = read_moments(totals, width)
        self._all_rows = moments.rows
        if not self._scale:
            return
        count = self._x.shape[1]
        self._mean = np.array([moments.mean(column) for column in range(count)])
        self._deviation = np.array([moments.spread(column) for column in range(count)])
        # A column that is constant over all members becomes 0.
        self._deviation[self._deviation <= 1e-14 * np.abs(self._mean)] = np.inf
        if not self._classes:
            self._target_mean, self._target_deviation = moments.mean(count), moments.spread(count) or 1.0

    def fit(self, weights: Arrays, round: int) -> tuple[list[npt.NDArray[Any]], int, dict[str, float]]:
        """Train for a round on this site's training rows; returns the new weights and the number of rows."""
        self._check_prepared()
        rows = ~self._tested
        x, y = (self._x[rows] - self._mean) / self._deviation, self._y[rows]
        if not self._classes:
            y = (y - self._target_mean) / self._target_deviation
        course = Course(self._passes, max(0, round - 1) * self._passes, self._all_rows)
        trained = self._estimator.train(self._own(weights), x, y, course)
        return [array / self._unit for array in trained], len(x), {}

    def evaluate(self, weights: Arrays) -> tuple[float, int, Mapping[str, float]]:
        """The loss, the rows and the metrics over this site's test rows."""
        x, y = self._x[self._tested], self._y[self._tested]
        if not len(x):
            return 0.0, 0, {}
        made = self._fitted(weights)
        if not self._classes:
            errors = made.predict(x) - y
            return float(np.square(errors).mean()), len(x), {"mae": float(np.abs(errors).mean())}
        metrics = {"accuracy": float((made.predict(x) == y).mean())}
        if not self._has_probabilities:
            return _hinge(made.decision_function(x), y), len(x), metrics
        probabilities = made.predict_proba(x)
        true = np.maximum(probabilities[np.arange(len(y)), y], _LEAST_PROBABILITY)
        squares = np.square(probabilities - np.eye(len(self._classes))[y]).sum(axis=1)
        metrics["brier"] = float(squares.mean()) / (2 if len(self._classes) == 2 else 1)
        return float(-np.log(true).mean()), len(x), metrics

    def pipeline(self, weights: Arrays) -> Any:
        """A fitted pipeline of scikit-learn that predicts with these weights, from rows that are not standardised.

        If the rows of the app were a data frame, the pipeline refuses a data frame with other columns.
        """
        made = self._fitted(weights)
        if self._classes:
            self._estimator.name_classes(made[-1], np.array(self._classes))
        if self._is_frame:
            made[0].feature_names_in_ = np.array(self._names, dtype=object)
        return made

    def _fitted(self, weights: Arrays) -> Any:
        """The pipeline with the places of the classes in place of their names."""
        self._check_prepared()
        made = self._estimator.with_weights(self._own(weights))
        made.n_features_in_ = self._x.shape[1]
        if not self._classes:
            self._estimator.scaled(made, self._target_deviation, self._target_mean)
        scaler = load("sklearn.preprocessing", "SklearnApp", "sklearn").StandardScaler()
        scaler.mean_, scaler.scale_, scaler.var_ = self._mean, self._deviation, np.square(self._deviation)
        scaler.n_features_in_, scaler.n_samples_seen_ = self._x.shape[1], self._all_rows
        return load("sklearn.pipeline", "SklearnApp", "sklearn").make_pipeline(scaler, made)

    def load(self, path: str | Path) -> Any:
        """The pipeline to predict with, by an `.npz` file of `peer model export`; see `pipeline`.

        Raises:
            AppError: the file is no such file, that of another app, or of before the first round.
        """
        facts, weights = exported(path, self.describe())
        if "totals" not in facts:
            raise AppError(f"{path}: it was exported before the first round, and holds no means and deviations")
        self.prepare(facts["totals"])
        return self.pipeline(weights)

    def _own(self, weights: Arrays) -> list[Matrix]:
        return [np.asarray(array, dtype=np.float64) * self._unit for array in weights]

    def _check_prepared(self) -> None:
        if not self._all_rows:
            raise RuntimeError("the sums of all members are not known yet: prepare() comes first")

    def _columns(self) -> list[str]:
        """The names of the columns that are standardised, for messages."""
        names = [repr(name) for name in self._names] if self._names else [str(at) for at in range(self._x.shape[1])]
        return names if self._classes else [*names, "of the target"]

    def _own_sums(self) -> list[float]:
        rows = ~self._tested
        if not self._scale:
            return [float(rows.sum())]
        columns = self._x if self._classes else np.column_stack([self._x, self._y])
        check_summable(columns, self._columns())
        sums = sums_of_columns(columns[rows])
        if len(sums) > MAX_SETUP_SUMS:
            raise AppError(
                f"{columns.shape[1]} columns are too many to standardise ({(MAX_SETUP_SUMS - 1) // 2} at most): bring "
                "them to one scale yourself, and give scale=False"
            )
        return sums


def _hinge(decisions: Matrix, codes: npt.NDArray[np.intp]) -> float:
    """The mean hinge loss: by sign for two classes, by lead over the next class for more (Crammer and Singer)."""
    if decisions.ndim == 1:
        return float(np.maximum(0.0, 1.0 - np.where(codes == 1, 1.0, -1.0) * decisions).mean())
    own = decisions[np.arange(len(codes)), codes]
    others = decisions.copy()
    others[np.arange(len(codes)), codes] = -np.inf
    return float(np.maximum(0.0, 1.0 - own + others.max(axis=1)).mean())
