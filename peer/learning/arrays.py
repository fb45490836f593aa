"""An app's list of arrays as one float32 vector, and back."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...protocol.limits import MAX_ARRAYS, MAX_DIMENSIONS, MAX_PARAMETERS
from .app import AppError, told

__all__ = ["Shapes", "Vector", "flatten", "shapes_text", "unflatten"]

Vector = npt.NDArray[np.float32]
Shapes = tuple[tuple[int, ...], ...]


def flatten(arrays: object, what: str = "weights") -> tuple[Vector, Shapes]:
    """One float32[L] vector of all arrays, C order, one after the other, and their shapes.

    Raises:
        AppError: anything but finite real numbers within the protocol's limits; it names the array.
    """
    if not isinstance(arrays, list | tuple):
        raise AppError(f"{what}: a list of numpy arrays is needed, not {type(arrays).__name__}")
    if not 1 <= len(arrays) <= MAX_ARRAYS:
        raise AppError(f"{what}: 1 to {MAX_ARRAYS} arrays are possible, not {len(arrays)}")
    flat, shapes = [], []
    for i, item in enumerate(arrays):
        array = _real_array(item, f"{what}[{i}]")
        flat.append(array.reshape(-1))
        shapes.append(tuple(array.shape))
    length = sum(part.size for part in flat)
    if length > MAX_PARAMETERS:
        raise AppError(f"{what}: {length} parameters exceed the limit of {MAX_PARAMETERS}")
    return np.concatenate(flat), tuple(shapes)


def unflatten(vector: Vector, shapes: Shapes) -> list[Vector]:
    """The arrays that `flatten` was given, as copies. Raises ValueError for a vector of another length."""
    sizes = [math.prod(shape) for shape in shapes]
    if vector.size != sum(sizes):
        raise ValueError(f"{vector.size} parameters do not fill {shapes_text(shapes)}")
    parts = np.split(np.array(vector, dtype=np.float32), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def shapes_text(shapes: Shapes) -> str:
    """Shapes in words, e.g. "10x16, 16, 16x1, 1 (193 parameters)"."""
    listed = ["x".join(map(str, shape)) or "scalar" for shape in shapes[:12]]
    if len(shapes) > 12:
        listed.append(f"{len(shapes) - 12} more")
    return f"{', '.join(listed)} ({sum(math.prod(shape) for shape in shapes)} parameters)"


def _real_array(item: Any, where: str) -> Vector:
    """`item` as a C-ordered float32 array. Raises AppError."""
    try:
        array = np.asarray(item)
    except Exception as error:
        raise AppError(f"{where} is not a numpy array: {told(error)}") from error
    if array.dtype.kind not in "fiu":
        raise AppError(f"{where} holds {array.dtype} and not real numbers")
    if array.size == 0 or array.ndim > MAX_DIMENSIONS:
        raise AppError(f"{where} has shape {array.shape}: it needs elements and at most {MAX_DIMENSIONS} dimensions")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    finite = np.isfinite(single)
    if not finite.all():
        first = np.unravel_index(int(np.argmin(finite)), array.shape)
        place = ", ".join(map(str, first))
        raise AppError(
            f"{where} holds {int(finite.size - finite.sum())} values that are not finite, "
            f"the first at [{place}]: {array[first]}"
        )
    return single
