"""A table model as a fitted scikit-learn pipeline, in a file of skops, which loads without running code of its maker.

`docs/export.md` describes it.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...system.extras import load
from .exported import TableModel

__all__ = ["sklearn_bytes"]


def sklearn_bytes(model: TableModel, facts: Mapping[str, Any]) -> bytes:
    """The content of the file. `facts`: where the weights come from. Raises MissingPackage."""
    skops = load("skops.io", "--format sklearn", "sklearn")
    pipeline = _sklearn("pipeline").make_pipeline(_scaler(model), _estimator(model))
    pipeline.coterie_ = json.dumps(facts)
    return bytes(skops.dumps(pipeline))


def _scaler(model: TableModel) -> Any:
    scaler = _sklearn("preprocessing").StandardScaler()
    # The scale of a dropped column is infinite, so that each number in it becomes 0.
    scaler.mean_, scaler.scale_, scaler.var_ = model.mean, model.scale, np.square(model.scale)
    scaler.n_features_in_, scaler.n_samples_seen_ = len(model.names), model.rows
    # A data frame with its columns in another order is refused by this.
    scaler.feature_names_in_ = np.array(model.names, dtype=object)
    return scaler


def _estimator(model: TableModel) -> Any:
    """The scikit-learn class of this kind, with the attributes that its own `fit` sets."""
    arrays = [array.astype(np.float64) for array in model.weights]
    classes = np.array(model.task.classes)
    if not model.task.classes:  # predict in the target's own units
        arrays[-2] = arrays[-2] * model.target_scale
        arrays[-1] = arrays[-1] * model.target_scale + model.target_mean
    last: Any
    if model.task.kind == "linear":
        last = _sklearn("linear_model").LinearRegression()
        last.coef_, last.intercept_ = arrays[0][:, 0], arrays[1][0]
    elif model.task.kind == "logistic":
        last = _sklearn("linear_model").LogisticRegression()
        last.coef_, last.intercept_, last.classes_ = arrays[0].T, arrays[1], classes
    else:
        networks = _sklearn("neural_network")
        kind = networks.MLPClassifier if model.task.classes else networks.MLPRegressor
        last = kind(hidden_layer_sizes=model.task.hidden, activation="tanh")
        last.coefs_, last.intercepts_ = arrays[::2], arrays[1::2]
        last.n_layers_, last.n_outputs_, last.out_activation_ = 1 + len(arrays) // 2, len(arrays[-1]), model.link
        if model.task.classes:
            last._label_binarizer = _sklearn("preprocessing").LabelBinarizer().fit(classes)
            last._label_binarizer.classes_ = last.classes_ = classes  # in the federation's order; `fit` sorts
    last.n_features_in_ = len(model.names)
    return last


def _sklearn(module: str) -> Any:
    return load(f"sklearn.{module}", "--format sklearn", "sklearn")
