"""A trained table model with everything that a prediction needs, and the files that carry it out of Coterie.

`docs/export.md` describes both files for readers that have no Coterie: `.npz`, whose entries are those of
`TableModel.fields`, and JSON, which holds the same.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from ..table_models.models import Arrays
from ..table_models.task import Standard, Task
from ..tables.schema import Schema, read_schema

__all__ = [
    "FORMAT",
    "ExportError",
    "Predictions",
    "TableModel",
    "no_table_model",
    "read_model",
    "write_json",
    "write_npz",
]

FORMAT: Final = 3
"""Newest version of both files; a reader refuses a later one."""
PLAIN_FORMAT: Final = 1
"""The version of a model whose columns are all plain numbers."""
MEAN_FORMAT: Final = 2
"""The version of a model with other columns, all of whose gaps stand as the mean."""
APP: Final = "app"
"""The kind of an app's model: arrays of which Coterie knows nothing more."""
BLOCK_ROWS: Final = 16_384
"""Rows that are predicted at once, so that wide hidden layers over a long table do not fill the memory."""

Numbers = npt.NDArray[np.float64]


class ExportError(ValueError):
    """A file that holds no model to predict with; says which, why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """For a regression `values` in the target's units; for classes their `codes` and `probabilities`.

    Shapes (rows,), (rows,) and (rows, classes).
    """

    values: Numbers | None = None
    codes: npt.NDArray[np.intp] | None = None
    probabilities: Numbers | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TableModel:
    """Weights, and the standardisation that they were trained for. Raises ValueError for parts that do not fit.

    Means and scales are of the task's features. `scale` is infinite for a feature that was the same in all rows, so
    that any value of it becomes 0.
    """

    task: Task
    weights: Arrays
    rows: int
    """Training rows of all members, over which the means and deviations are."""
    mean: Numbers
    scale: Numbers
    target_mean: float = 0.0
    target_scale: float = 1.0
    fill: Numbers | None = None
    """What a gap stands as, float64[features]; None: the mean."""

    def __post_init__(self) -> None:
        sizes = self.task.network.sizes
        shapes = [shape for before, after in pairwise(sizes) for shape in ((before, after), (after,))]
        if [array.shape for array in self.weights] != shapes:
            raise ValueError("the shapes of the weights are not those of the model")
        width = (len(self.task.features),)
        if self.mean.shape != width or self.scale.shape != width:
            raise ValueError("there is not one mean and one scale for each column")
        is_finite = all(np.isfinite(array).all() for array in self.weights) and np.isfinite(self.mean).all()
        if not is_finite or not (self.scale > 0).all():
            raise ValueError("a weight or mean is not finite, or a scale is not above 0")
        if (self.fill is None) == bool(self.task.schema.medians):
            raise ValueError("it does not say what gaps stand as, though some stand as the median; or the reverse")
        if self.fill is not None and (self.fill.shape != width or not np.isfinite(self.fill).all()):
            raise ValueError("there is not one number for each column that a gap stands as")
        if not math.isfinite(self.target_mean) or not 0 < self.target_scale < math.inf:
            raise ValueError("the mean of the target is not finite, or its scale is not a number above 0")

    @classmethod
    def of(cls, task: Task, standard: Standard, weights: Arrays) -> "TableModel":
        """The model of a federation, from the standardisation that its members share."""
        scale = np.where(standard.scale > 0, standard.scale, np.inf)
        target = standard.target_mean, standard.target_scale
        return cls(task, weights, standard.rows, standard.mean, scale, *target, standard.fill)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that were the same in all training rows, which the model therefore ignores."""
        scales = zip(self.task.features, self.scale, strict=True)
        varied = {feature.column for feature, scale in scales if np.isfinite(scale)}
        return tuple(name for name in self.task.columns if name not in varied)

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns that a table to predict from must have; all of them if every one was dropped."""
        dropped = set(self.dropped)
        return tuple(name for name in self.task.columns if name not in dropped) or self.task.columns

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what the weights take, in their order: the columns, or the features made of them."""
        return tuple(feature.name for feature in self.task.features)

    @property
    def places(self) -> list[int]:
        """The places of the features that varied in the training rows; of all if none did."""
        return np.flatnonzero(np.isfinite(self.scale)).tolist() or list(range(len(self.scale)))

    @property
    def link(self) -> str:
        """What turns the output of the last layer into the prediction."""
        return {0: "identity", 2: "logistic"}.get(len(self.task.classes), "softmax")

    def predict(self, inputs: Numbers) -> Predictions:
        """Predict from float64[rows, columns] in the order of `needed`, as a table with the task's schema holds them.

        Raises:
            ValueError: numbers are so far from those of the training that nothing finite comes out.
        """
        blocks = [inputs[at : at + BLOCK_ROWS] for at in range(0, len(inputs), BLOCK_ROWS)]
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = np.concatenate([self._outputs(block) for block in blocks])
            values = outputs[:, 0] * self.target_scale + self.target_mean
        wrong = np.flatnonzero(~np.isfinite(outputs).all(axis=1) | ~np.isfinite(values))
        if len(wrong):
            raise ValueError(f"row {wrong[0] + 1} below the header: its numbers are too large to predict from")
        if not self.task.classes:
            return Predictions(values)
        network = self.task.network
        return Predictions(codes=network.labels(outputs), probabilities=network.probabilities(outputs))

    def fields(self) -> dict[str, Any]:
        """What a file says besides the weights, by the names of `docs/export.md`."""
        features, schema = self.task.features, self.task.schema
        plain = {"format": PLAIN_FORMAT}
        number = MEAN_FORMAT if self.fill is None else FORMAT
        encoded = {"format": number, "schema": json.dumps({"columns": self.task.columns, **schema.fields()})}
        filled = {} if self.fill is None else {"fill": self.fill}
        return (plain if schema.is_plain else encoded | filled) | {
            "kind": self.task.kind,
            "columns": self.names,
            "dropped": tuple(one.name for one, scale in zip(features, self.scale, strict=True) if np.isinf(scale)),
            "target": self.task.target,
            "classes": self.task.classes,
            "activation": _activation(self.task),
            "link": self.link,
            "rows": self.rows,
            "mean": self.mean,
            "scale": self.scale,
            "target_mean": self.target_mean,
            "target_scale": self.target_scale,
        }

    def _outputs(self, inputs: Numbers) -> Numbers:
        full = np.full((len(inputs), len(self.task.columns)), np.nan)
        needed = set(self.needed)
        full[:, [name in needed for name in self.task.columns]] = inputs
        features = self.task.schema.encode(self.task.columns, full)
        weights = [array.astype(np.float64) for array in self.weights]
        # A column that nobody needs stands as a gap, which its infinite scale makes 0.
        known = np.where(np.isnan(features), self.mean if self.fill is None else self.fill, features)
        standard = (known - self.mean) / self.scale
        return self.task.network.outputs(weights, standard)


def write_npz(file: BinaryIO, model: TableModel | None, weights: Sequence[Any], facts: Mapping[str, Any]) -> None:
    """Write an `.npz`. `model`: None for an app's weights; `facts`: where they come from."""
    entries: dict[str, Any] = {f"array_{index}": array for index, array in enumerate(weights)}
    entries |= {name: _as_array(value) for name, value in _fields_of(model).items()}
    np.savez(file, **entries, coterie=np.array(json.dumps(facts)))


def write_json(file: BinaryIO, model: TableModel | None, weights: Sequence[Any], facts: Mapping[str, Any]) -> None:
    """Write the same as JSON: weights as nested lists under `arrays`, null for an infinite scale."""
    fields = _fields_of(model)
    if model is not None:
        scale = [None if np.isinf(one) else one for one in model.scale.tolist()]
        fields |= {"mean": model.mean.tolist(), "scale": scale}
        fields |= {} if model.fill is None else {"fill": model.fill.tolist()}
    whole = {**fields, "arrays": [array.tolist() for array in weights], "coterie": facts}
    file.write(json.dumps(whole, ensure_ascii=False).encode() + b"\n")


def read_model(path: Path) -> TableModel:
    """The model in a file of either kind. Raises ExportError."""
    try:
        with path.open("rb") as file:
            is_json = file.read(1) == b"{"
            file.seek(0)
            fields = json.load(file) if is_json else _read_npz(file)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise _no_export(path, "it is neither .npz nor JSON, or is damaged") from error
    if fields.get("kind") == APP:
        raise ExportError(f"{path}: {no_table_model('the weights in it')}")
    if "format" not in fields:
        raise _no_export(path, "it does not say which format it has")
    try:
        if int(fields["format"]) > FORMAT:
            raise ExportError(f"{path}: it has format {fields['format']}, and this Coterie reads {FORMAT}; upgrade it")
        return _model_of(fields)
    except ExportError:
        raise
    except KeyError as error:
        raise _no_export(path, f"it has no {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _no_export(path, str(error)) from None


def no_table_model(what: str) -> str:
    """Say that nothing can be predicted with an app's weights, and what to do instead."""
    return (
        f"{what} are of the members' own app (--app), which alone knows what goes into them; `peer predict` predicts "
        "from tables. Write them to a file with `peer model export --out model.npz`, and hand its array_0, array_1, … "
        "to the code of the app"
    )


def _model_of(fields: Mapping[str, Any]) -> TableModel:
    with np.errstate(over="ignore"):  # what does not fit is infinite, and refused as such
        weights = [np.asarray(array, dtype=np.float32) for array in fields["arrays"]]
    hidden = tuple(array.size for array in weights[1:-1:2])
    names, classes = _texts(fields["columns"]), _texts(fields["classes"])
    kind, target = _texts([fields["kind"], fields["target"]])
    columns, schema = _columns(fields.get("schema"), names)
    task = Task(kind, target, columns, hidden, classes, schema)  # type: ignore[arg-type]  # it refuses other kinds
    if tuple(feature.name for feature in task.features) != names:
        raise ValueError("its columns are not those that follow from its schema")
    scale = np.array([np.inf if one is None else one for one in fields["scale"]], dtype=np.float64)
    mean, rows = np.asarray(fields["mean"], dtype=np.float64), int(fields["rows"])
    fill = np.asarray(fields["fill"], dtype=np.float64) if "fill" in fields else None
    target_mean, target_scale = float(fields["target_mean"]), float(fields["target_scale"])
    model = TableModel(task, weights, rows, mean, scale, target_mean, target_scale, fill)
    for name, known in (("activation", _activation(task)), ("link", model.link)):
        if str(fields[name]) != known:
            raise ValueError(f"{name} {fields[name]} does not belong to this model")
    return model


def _columns(schema: Any, names: tuple[str, ...]) -> tuple[tuple[str, ...], Schema]:
    """The columns of a table, and what they hold; without a schema all hold numbers, under these names."""
    if schema is None:
        return names, Schema()
    fields = json.loads(schema)
    return _texts(fields.pop("columns")), read_schema(fields)


def _read_npz(file: BinaryIO) -> dict[str, Any]:
    """The entries of an `.npz` as JSON would hold them, with the weights under `arrays`."""
    with np.load(file) as entries:  # pickles are refused by default
        if not isinstance(entries, np.lib.npyio.NpzFile):
            raise ValueError("an array alone")
        found = {name: entries[name] for name in entries.files}
    if not all(isinstance(value, np.ndarray) for value in found.values()):
        raise ValueError("another archive")  # such as a file for scikit-learn or PyTorch, which is a zip, too
    names = [name for name in found if not name.startswith("array_")]
    fields: dict[str, Any] = {name: found[name].tolist() for name in names}
    return fields | {"arrays": [found[f"array_{index}"] for index in range(len(found) - len(names))]}


def _fields_of(model: TableModel | None) -> dict[str, Any]:
    return {"format": PLAIN_FORMAT, "kind": APP} if model is None else model.fields()


def _as_array(value: Any) -> npt.NDArray[Any]:
    return np.array(value, dtype=np.str_) if isinstance(value, tuple) else np.array(value)


def _activation(task: Task) -> str:
    """What follows each hidden layer."""
    return "tanh" if task.hidden else "identity"


def _texts(values: Any) -> tuple[str, ...]:
    """The values, if all are texts that UTF-8 can hold. Raises ValueError or TypeError."""
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{value!r:.80} is not a text")
        value.encode()
    return tuple(values)


def _no_export(path: Path, why: str) -> ExportError:
    return ExportError(f"{path}: no model to predict with: {why}; make one with `peer model export --out model.npz`")
