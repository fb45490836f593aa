"""Estimators of scikit-learn as weights, which can be taken out, averaged, and put back for more training.

| estimator | weights | a round of training |
| --- | --- | --- |
| SGDClassifier, SGDRegressor | coef_, intercept_ | `partial_fit`, a call for each pass |
| MLPClassifier, MLPRegressor | coefs_, intercepts_ | `partial_fit`, a call for each pass |
| LogisticRegression | coef_, intercept_ | `fit` with `warm_start`, as many iterations as passes |
| LinearSVC | coef_, intercept_ | as many iterations of L-BFGS on its own objective |

The last two minimise C times a *sum* of losses, plus the ridge. A site with n rows would thus have a stronger ridge
than the rows of all members together. So each of its rows counts N/n times, where N is the number of all members'
training rows. The mean of all sites' objectives, weighted by their rows, is then the objective on the pooled rows. Each
step of these solvers looks at all rows of the site, and leads towards the minimum of the site's own rows. So by default
a round has only two steps.

LinearSVC has neither `partial_fit` nor a warm start. With its default loss the objective that liblinear minimises is
smooth and convex; here L-BFGS minimises it from the agreed weights on.
"""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..peer.system.extras import load
from .row_split import Matrix

__all__ = ["Course", "Estimator", "wrapped"]

Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Course:
    """The extent of a site's training in a round."""

    passes: int
    """Number of passes over the site's rows in this round."""
    before: int
    """Number of passes in earlier rounds."""
    all_rows: int
    """Number of training rows of all members together."""


class Estimator(ABC):
    """One kind of estimator. The user's estimator is a prototype that is never fitted: `blank` makes copies of it."""

    refused: ClassVar[dict[str, tuple[Any, ...]]] = {}
    """Values of options with which an estimator cannot be trained here, by option."""
    unit: ClassVar[float] = 1.0
    """Default unit of the weights (see `SklearnApp`)."""
    passes: ClassVar[int] = 5
    """Default number of passes in a round."""

    def __init__(self, prototype: Any, columns: int, classes: int) -> None:
        """Check the options of an estimator.

        Args:
            prototype: the user's estimator.
            columns: the number of inputs.
            classes: the number of classes; 0 for a regressor.

        Raises:
            AppError: an option has a value that cannot be trained with here.
        """
        self.prototype = prototype
        self.name = type(prototype).__name__
        self.columns = columns
        self.classes = classes
        options = prototype.get_params(deep=False)
        for option, values in self.refused.items():
            if any(_same(options.get(option), value) for value in values):
                raise AppError(f"{self.name}({option}={options[option]!r}) cannot be trained together: {_WHY[option]}")

    @property
    def options(self) -> dict[str, Any]:
        """The options that must be equal at all members."""
        left_out = {"random_state", "n_jobs", "verbose", "warm_start", *self._overridden}
        return {name: one for name, one in self.prototype.get_params(deep=False).items() if name not in left_out}

    _overridden: ClassVar[tuple[str, ...]] = ()
    """Options that have no effect here, because the number of passes in a round takes their place."""

    def blank(self) -> Any:
        """A copy of the prototype with all attributes that training sets, and with initial weights."""
        made = load("sklearn.base", "SklearnApp", "sklearn").clone(self.prototype)
        made.set_params(**self._settings())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._allocate(made)
        return made

    def with_weights(self, weights: Sequence[npt.NDArray[Any]]) -> Any:
        """A copy of the prototype that predicts with these weights."""
        made = self.blank()
        self._put(made, [np.array(array, dtype=np.float64) for array in weights])
        return made

    def train(self, weights: Sequence[npt.NDArray[Any]], x: Matrix, y: Any, course: Course) -> Arrays:
        """Train for a round from these weights, and return the new ones."""
        made = self.with_weights(weights)
        # The seed of the rows' order must be secret. With a known seed, a guess of the rows would give the update, and
        # so could be confirmed.
        made.set_params(random_state=np.random.RandomState(np.frombuffer(os.urandom(32), dtype="<u4")))
        with warnings.catch_warnings():
            # A round has few iterations on purpose, so the solver does not converge in it.
            warnings.filterwarnings("ignore", category=_convergence_warning())
            self._train(made, x, y, course)
        return self.weights(made)

    def scaled(self, made: Any, scale: float, offset: float) -> None:
        """Change a regressor's weights so that it predicts `scale` times as much, plus `offset`."""
        weights = self.weights(made)
        weights[-1] = weights[-1] * scale + offset
        at = len(weights) // 2 - 1
        weights[at] = weights[at] * scale
        self._put(made, weights)

    def name_classes(self, made: Any, classes: npt.NDArray[Any]) -> None:
        """Make a classifier predict these classes instead of their places."""
        made.classes_ = classes

    @abstractmethod
    def weights(self, made: Any) -> Arrays:
        """The arrays that are averaged: first the matrices, then as many vectors of intercepts."""

    @abstractmethod
    def _put(self, made: Any, weights: Arrays) -> None:
        """Set the weights of an estimator, float64."""

    @abstractmethod
    def _allocate(self, made: Any) -> None:
        """Set all attributes that training sets, without any row of the user's."""

    @abstractmethod
    def _train(self, made: Any, x: Matrix, y: Any, course: Course) -> None:
        """Train an estimator from its weights on."""

    def _settings(self) -> dict[str, Any]:
        """Options of every copy. The seed is fixed so that the initial weights are the same at each start."""
        return {"random_state": _first_seed(self.prototype)}

    def _empty_rows(self) -> tuple[Matrix, Any]:
        """Rows of zeros with their targets: one of each class, or one for a regressor."""
        count = self.classes or 1
        return np.zeros((count, self.columns)), np.arange(count) if self.classes else np.zeros(1)


class _Linear(Estimator):
    """Estimators with `coef_` and `intercept_`."""

    def weights(self, made: Any) -> Arrays:
        return [np.array(made.coef_), np.array(made.intercept_)]

    def _put(self, made: Any, weights: Arrays) -> None:
        made.coef_, made.intercept_ = (np.ascontiguousarray(array) for array in weights)

    def _zero(self, made: Any) -> None:
        lines = 1 if self.classes == 2 else self.classes
        shape = (lines, self.columns) if self.classes else (self.columns,)
        self._put(made, [np.zeros(shape), np.zeros(lines or 1)])


class _Sgd(_Linear):
    unit: ClassVar[float] = 16.0
    refused: ClassVar[dict[str, tuple[Any, ...]]] = {
        "average": (True,),
        "early_stopping": (True,),
        "class_weight": ("balanced",),
        "fit_intercept": (False,),
    }
    _overridden = ("max_iter", "tol", "n_iter_no_change", "validation_fraction", "early_stopping")

    def _allocate(self, made: Any) -> None:
        x, y = self._empty_rows()
        made.partial_fit(x, y, **({"classes": y} if self.classes else {}))
        self._zero(made)

    def _train(self, made: Any, x: Matrix, y: Any, course: Course) -> None:
        # The learning rate falls with the number of rows seen so far, so the rows of earlier rounds are counted in.
        made.t_ = 1.0 + course.before * len(x)
        for _ in range(course.passes):
            made.partial_fit(x, y)


class _Logistic(_Linear):
    passes: ClassVar[int] = 2
    refused: ClassVar[dict[str, tuple[Any, ...]]] = {
        "solver": ("liblinear",),
        "class_weight": ("balanced",),
        "fit_intercept": (False,),
    }
    _overridden = ("max_iter", "tol")

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "warm_start": True, "max_iter": 1}

    def _allocate(self, made: Any) -> None:
        made.fit(*self._empty_rows())
        self._zero(made)

    def _train(self, made: Any, x: Matrix, y: Any, course: Course) -> None:
        made.set_params(max_iter=course.passes, tol=0.0)
        # Adds a row of weight 0 for each class: otherwise scikit-learn would not know a class that this site lacks.
        empty, each = self._empty_rows()
        counts = np.concatenate([np.full(len(x), course.all_rows / len(x)), np.zeros(len(empty))])
        made.fit(np.concatenate([x, empty]), np.concatenate([y, each]), sample_weight=counts)


class _Svc(_Linear):
    passes: ClassVar[int] = 2
    refused: ClassVar[dict[str, tuple[Any, ...]]] = {
        "loss": ("hinge",),
        "penalty": ("l1",),
        "multi_class": ("crammer_singer",),
        "class_weight": ("balanced",),
        "fit_intercept": (False,),
    }
    _overridden = ("max_iter", "tol", "dual")

    def _allocate(self, made: Any) -> None:
        made.fit(*self._empty_rows())
        self._zero(made)

    def _train(self, made: Any, x: Matrix, y: Any, course: Course) -> None:
        minimize = load("scipy.optimize", "LinearSVC", "sklearn").minimize
        weights = made.class_weight or {}
        each = np.array([float(weights.get(place, 1.0)) for place in range(self.classes)])[y]
        costs = made.C * each * course.all_rows / len(x)
        positives = [1] if self.classes == 2 else range(self.classes)
        coef, intercept = np.array(made.coef_), np.array(made.intercept_)
        for line, positive in enumerate(positives):
            signs = np.where(y == positive, 1.0, -1.0)
            start = np.append(coef[line], intercept[line])
            options = {"maxiter": course.passes, "ftol": 0.0, "gtol": 0.0}
            arguments = (x, signs, costs, float(made.intercept_scaling))
            found = minimize(_squared_hinge, start, arguments, "L-BFGS-B", jac=True, options=options).x
            coef[line], intercept[line] = found[:-1], found[-1]
        self._put(made, [coef, intercept])


class _Mlp(Estimator):
    refused: ClassVar[dict[str, tuple[Any, ...]]] = {"solver": ("lbfgs",), "early_stopping": (True,)}
    _overridden = ("max_iter", "tol", "n_iter_no_change", "validation_fraction", "early_stopping", "max_fun")

    def weights(self, made: Any) -> Arrays:
        return [np.array(array) for array in (*made.coefs_, *made.intercepts_)]

    def _put(self, made: Any, weights: Arrays) -> None:
        layers = len(weights) // 2
        made.coefs_, made.intercepts_ = weights[:layers], weights[layers:]

    def _allocate(self, made: Any) -> None:
        x, y = self._empty_rows()
        made.partial_fit(x, y, **({"classes": y} if self.classes else {}))

    def _train(self, made: Any, x: Matrix, y: Any, course: Course) -> None:
        # The optimiser begins anew in each round, so that a restarted site trains as the others do.
        made.__dict__.pop("_optimizer", None)
        for _ in range(course.passes):
            made.partial_fit(x, y)

    def name_classes(self, made: Any, classes: npt.NDArray[Any]) -> None:
        made._label_binarizer = load("sklearn.preprocessing", "MLPClassifier", "sklearn").LabelBinarizer().fit(classes)
        made._label_binarizer.classes_ = made.classes_ = classes  # in their given order; `fit` sorts


_ADAPTED: dict[str, type[Estimator]] = {
    "SGDClassifier": _Sgd,
    "SGDRegressor": _Sgd,
    "LogisticRegression": _Logistic,
    "LinearSVC": _Svc,
    "MLPClassifier": _Mlp,
    "MLPRegressor": _Mlp,
}

_WHY = {
    "average": "its averaged weights are no weights to train on from; the mean of all members averages, too",
    "early_stopping": "it would hold back rows of each site for a decision of its own; use `peer start --patience`",
    "class_weight": "it would mean another weight at each site; give a dict, the same at all",
    "fit_intercept": "the adapter averages intercepts; leave it at its default",
    "solver": "it cannot go on from given weights; take its default",
    "loss": "it has no gradient everywhere; take the default, or SGDClassifier(loss='hinge')",
    "penalty": "it is not smooth; take the default, or SGDClassifier(penalty='l1')",
    "multi_class": "take the default, one class against the rest",
}


def wrapped(prototype: Any, columns: int, classes: int) -> Estimator:
    """The estimator behind this module's interface; arguments as of `Estimator`.

    Raises:
        AppError: there is no adapter for it, or an option cannot be trained with.
    """
    name = type(prototype).__name__
    adapted = _ADAPTED.get(name)
    if isinstance(prototype, type) or adapted is None or not type(prototype).__module__.startswith("sklearn."):
        what = f"the class {prototype.__name__}" if isinstance(prototype, type) else f"a {name}"
        advice = ": give an object, such as SGDClassifier()" if isinstance(prototype, type) else ""
        if name == "Pipeline":
            advice = ": give its last step alone; scale=True standardises the rows over all members"
        raise AppError(f"{what} cannot be trained together{advice}; there are adapters of {', '.join(_ADAPTED)}")
    return adapted(prototype, columns, classes)


def _squared_hinge(
    point: Matrix, x: Matrix, signs: Matrix, costs: Matrix, intercept_scaling: float
) -> tuple[float, Matrix]:
    """LinearSVC's objective and its gradient: ½|w|² + ½(b/s)² + Σ cost · max(0, 1 − sign · (w·x + b))².

    The intercept is part of the ridge, as in liblinear (Fan et al., JMLR 2008, section 2).

    Args:
        point: w followed by b.
        x: the inputs, float64[rows, columns].
        signs: 1 for rows of the positive class, -1 for the others.
        costs: by row.
        intercept_scaling: s.
    """
    w, b = point[:-1], point[-1]
    short = np.maximum(0.0, 1.0 - signs * (x @ w + b))
    slope = -2.0 * costs * signs * short
    value = 0.5 * (w @ w + (b / intercept_scaling) ** 2) + costs @ short**2
    return float(value), np.append(w + x.T @ slope, b / intercept_scaling**2 + slope.sum())


def _first_seed(prototype: Any) -> int:
    """The seed of the initial weights; all members begin with those of the founder."""
    given = prototype.get_params(deep=False).get("random_state")
    return given if isinstance(given, int) else 0


def _convergence_warning() -> Any:
    return load("sklearn.exceptions", "SklearnApp", "sklearn").ConvergenceWarning


def _same(one: Any, other: Any) -> bool:
    """Whether an option has this value. Where the value is a bool, a number counts as one: `average=10` is True."""
    if isinstance(other, bool):
        return bool(one) is other and one is not None
    return isinstance(one, str) and one == other
