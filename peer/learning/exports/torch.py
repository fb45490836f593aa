"""A table model as a PyTorch file of tensors, numbers and texts, which `torch.load(..., weights_only=True)` reads.

`docs/export.md` describes it, with the module that takes the state. TorchScript would hold that module, too, but is
deprecated.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...system.extras import load
from .exported import TableModel

__all__ = ["torch_bytes"]


def torch_bytes(model: TableModel, facts: Mapping[str, Any]) -> bytes:
    """The content of the file. `facts`: where the weights come from. Raises MissingPackage."""
    torch = load("torch", "--format torch", "torch")
    state = {}
    for layer in range(len(model.weights) // 2):
        # Between two layers of an `nn.Sequential` stands a Tanh, which has no state.
        state[f"layers.{2 * layer}.weight"] = torch.from_numpy(np.array(model.weights[2 * layer].T, order="C"))
        state[f"layers.{2 * layer}.bias"] = torch.from_numpy(model.weights[2 * layer + 1].copy())
    fields = model.fields()
    for name in ("mean", "scale", "target_mean", "target_scale"):
        state[name] = torch.tensor(fields.pop(name), dtype=torch.float64)
    if "fill" in fields:
        fields["fill"] = torch.tensor(fields["fill"], dtype=torch.float64)
    texts = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    file = io.BytesIO()
    sizes = list(model.task.network.sizes)
    torch.save({**texts, "sizes": sizes, "state_dict": state, "coterie": json.dumps(facts)}, file)
    return file.getvalue()
