"""The files that `peer new-app` writes: a module, tables of three sites to try it with, and what to type.

The rows are made up, the same at each call.
"""

import math
import random
from typing import Final

__all__ = ["FOUNDING", "KINDS", "files_of"]

FOUNDING: Final = "DATA=site-1.csv peer start --app mymodel:app --home home-1 --rounds 10"
"""The command that founds a federation, typed in the new folder."""

_SITE_ROWS: Final = (120, 160, 200)

_SKLEARN: Final = '''"""What this site trains: a model of scikit-learn. `peer start --app mymodel:app` calls `app`."""

import csv
import os
from pathlib import Path

from sklearn.linear_model import LogisticRegression

from coterie.apps.sklearn import SklearnApp

# All members need the same values here, except for the table. A peer with other values is refused, and told which.
TARGET = "outcome"
CLASSES = ["no", "yes"]
MODEL = LogisticRegression(C=1.0)

# Each site has its own; a relative path begins in the folder of this file.
TABLE = Path(__file__).parent / os.environ.get("DATA", "site-1.csv")


def app():
    """The app: the model, and the rows of this site."""
    with open(TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = sorted(set(rows[0]) - {TARGET})
    inputs = [[float(row[name]) for name in columns] for row in rows]
    return SklearnApp(MODEL, inputs, [row[TARGET] for row in rows], classes=CLASSES, columns=columns)
'''

_TORCH: Final = '''"""What this site trains: a network of PyTorch. `peer start --app mymodel:app` calls `app`."""

import csv
import os
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from coterie.apps.torch import TorchApp, accuracy

# All members need the same values here, except for the table. A peer with other values is refused, and told which.
TARGET = "outcome"
CLASSES = ["no", "yes"]
OPTIMISER = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
EPOCHS = 2


def network(inputs):
    """The module; move it to a GPU here if there is one. Its first layer brings the inputs to one scale."""
    return nn.Sequential(
        nn.BatchNorm1d(inputs, affine=False), nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, len(CLASSES))
    )


# Each site has its own; a relative path begins in the folder of this file.
TABLE = Path(__file__).parent / os.environ.get("DATA", "site-1.csv")


def app():
    """The app: the module, and the rows of this site."""
    with open(TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = sorted(set(rows[0]) - {TARGET})
    inputs = torch.tensor([[float(row[name]) for name in columns] for row in rows])
    targets = torch.tensor([CLASSES.index(row[TARGET]) for row in rows])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    tested, trained = order[: len(rows) // 5], order[len(rows) // 5 :]
    return TorchApp(
        network(len(columns)),
        DataLoader(TensorDataset(inputs[trained], targets[trained]), batch_size=16, shuffle=True, drop_last=True),
        nn.functional.cross_entropy,
        OPTIMISER,
        test=DataLoader(TensorDataset(inputs[tested], targets[tested]), batch_size=256),
        epochs=EPOCHS,
        measure=accuracy,
        final_metrics=["accuracy"],
        options={"columns": columns, "classes": CLASSES},
    )
'''

_JAX: Final = '''"""What this site trains: a network of JAX. `peer start --app mymodel:app` calls `app`."""

import csv
import os
from functools import partial
from pathlib import Path

import numpy as np
import optax
from jax import nn, random

from coterie.apps.jax import JaxApp, Shuffled, accuracy

# All members need the same values here, except for the table. A peer with other values is refused, and told which.
TARGET = "outcome"
CLASSES = ["no", "yes"]
OPTIMISER = partial(optax.sgd, learning_rate=0.05, momentum=0.9)
EPOCHS = 2


def network(inputs):
    """The variables to begin with; the statistics bring the inputs to one scale, and are never sent."""
    first, second = random.split(random.key(0))
    return {
        "params": {
            "hidden": {"kernel": random.normal(first, (inputs, 16)) * 0.5, "bias": np.zeros(16)},
            "head": {"kernel": random.normal(second, (16, len(CLASSES))) * 0.2, "bias": np.zeros(len(CLASSES))},
        },
        "batch_stats": {"mean": np.zeros(inputs), "var": np.ones(inputs)},
    }


def predict(variables, rows):
    """A number for each class; the largest one is that of the class."""
    params, statistics = variables["params"], variables["batch_stats"]
    rows = (rows - statistics["mean"]) / (statistics["var"] + 1e-5) ** 0.5
    hidden = nn.relu(rows @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return hidden @ params["head"]["kernel"] + params["head"]["bias"]


def learn(variables, rows, key):
    """The same while training: by the statistics of the batch, which go into the running ones."""
    batch = {"mean": rows.mean(axis=0), "var": rows.var(axis=0)}
    running = {name: 0.9 * variables["batch_stats"][name] + 0.1 * batch[name] for name in batch}
    return predict({**variables, "batch_stats": batch}, rows), {"batch_stats": running}


def loss(outputs, targets):
    """The mean over the rows."""
    return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()


# Each site has its own; a relative path begins in the folder of this file.
TABLE = Path(__file__).parent / os.environ.get("DATA", "site-1.csv")


def app():
    """The app: the network, and the rows of this site."""
    with open(TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = sorted(set(rows[0]) - {TARGET})
    inputs = np.array([[float(row[name]) for name in columns] for row in rows], dtype=np.float32)
    targets = np.array([CLASSES.index(row[TARGET]) for row in rows])
    order = np.random.default_rng(0).permutation(len(rows))
    tested, trained = order[: len(rows) // 5], order[len(rows) // 5 :]
    return JaxApp(
        network(len(columns)),
        predict,
        Shuffled(inputs[trained], targets[trained], 16),
        loss,
        OPTIMISER,
        learn=learn,
        test=[(inputs[tested], targets[tested])],
        epochs=EPOCHS,
        measure=accuracy,
        final_metrics=["accuracy"],
        options={"columns": columns, "classes": CLASSES},
    )
'''

_README: Final = """# An app of {package} for Coterie

`mymodel.py` reads a table and says which model to train; change it for your own. The three tables are
made up. With `pip install 'coterie[{extra}]'`, type each line in a terminal of its own, in this folder;
the first one prints the invite for the others:

```
{founding}
DATA=site-2.csv peer start --app mymodel:app --home home-2 --invite coterie1-…
DATA=site-3.csv peer start --app mymodel:app --home home-3 --invite coterie1-…
```

Afterwards `peer model show --home home-1` tells how good the model is. {use}
"""

_USE_SKLEARN: Final = """To predict:

```
peer model export --home home-1 --out model.npz
python -c "import mymodel; print(mymodel.app().load('model.npz').predict([[50, 3.1, 130]]))"
```"""

_USE_TORCH: Final = """To predict:

```
peer model export --home home-1 --out model.npz
python -c "import mymodel, torch; print(mymodel.app().load('model.npz')(torch.tensor([[50, 3.1, 130]])))"
```"""

_USE_JAX: Final = """To predict:

```
peer model export --home home-1 --out model.npz
python -c "import mymodel as m; print(m.predict(m.app().load('model.npz'), m.np.array([[50, 3.1, 130]])))"
```"""

KINDS: Final = {
    "jax": (_JAX, "JAX", _USE_JAX),
    "sklearn": (_SKLEARN, "scikit-learn", _USE_SKLEARN),
    "torch": (_TORCH, "PyTorch", _USE_TORCH),
}
"""The module of each kind, its package, and how to use the result."""


def files_of(kind: str) -> dict[str, str]:
    """Return the text of each file, by name. ``kind``: a key of KINDS."""
    module, package, use = KINDS[kind]
    readme = _README.format(package=package, extra=kind, founding=FOUNDING, use=use)
    tables = {f"site-{site}.csv": _table(site, rows) for site, rows in enumerate(_SITE_ROWS, start=1)}
    return {"mymodel.py": module, "README.md": readme, **tables}


def _table(site: int, rows: int) -> str:
    """Return a table of patients whose age and two measurements predict an outcome, though not surely."""
    source = random.Random(site)
    lines = ["age,marker,pressure,outcome"]
    for _ in range(rows):
        age, marker, pressure = source.uniform(20, 90), source.gauss(3, 1), source.gauss(130, 15)
        odds = math.exp(0.08 * (age - 55) + 2.0 * (marker - 3) + 0.05 * (pressure - 130))
        outcome = "yes" if source.random() < odds / (1 + odds) else "no"
        lines.append(f"{age:.0f},{marker:.2f},{pressure:.0f},{outcome}")
    return "\n".join(lines) + "\n"
