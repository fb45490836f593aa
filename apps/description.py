"""What members must agree on, as the text that the genesis holds: equal options make equal texts.

JSON with sorted keys. What has no room in a genesis stands as its number of parts and its hash. An exported model
holds the text, too, and is read by an app with an equal one only.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError
from ..protocol.limits import MAX_DESCRIPTOR_BYTES

__all__ = ["as_json", "called", "description", "digest", "exported"]

_ROOM_BYTES: Final = 512
"""A list of names up to this size stands there as it is, so that a joiner with others is told which."""


def description(app: str, version: int, **fields: Any) -> str:
    """The text. `app` and `version`: the adapter, and which rules it trains by.

    Raises AppError where the options have no room.
    """
    shown = {name: _short(value) if isinstance(value, list) else value for name, value in fields.items()}
    text = _canonical({"app": app, "version": version, **shown})
    if len(text.encode()) > MAX_DESCRIPTOR_BYTES:
        raise AppError(
            f"the options take {len(text.encode())} bytes, and a genesis has room for {MAX_DESCRIPTOR_BYTES}"
        )
    return text


def digest(value: Any) -> str:
    """The hash of a plain value."""
    return hashlib.sha256(b"coterie/app\x00" + _canonical(value).encode()).hexdigest()


def as_json(value: Any) -> Any:
    """An option as JSON holds it; what JSON has no form for stands as Python writes it.

    Raises AppError for objects of which Python only tells where they lie in memory: they differ at each start.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if callable(getattr(value, "tolist", None)):
        return as_json(value.tolist())
    if isinstance(value, type) or callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if " at 0x" in repr(value):
        raise AppError(f"the option {value!r:.80} is a {type(value).__qualname__}, of which members cannot compare two")
    return repr(value)


def called(thing: Any) -> Any:
    """A function, or what makes an optimiser, as the members compare it: by its name, and the arguments of a partial.

    Raises AppError for arguments that cannot be compared.
    """
    if isinstance(thing, partial):
        return {"of": called(thing.func), "arguments": as_json(thing.args), **as_json(thing.keywords)}
    return getattr(thing, "__qualname__", None) or repr(thing)


def exported(path: str | Path, described: str) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """The facts and the weights of an `.npz` file of `peer model export`.

    Raises AppError for another file, and for a model whose description is not `described`.
    """
    try:
        with np.load(path) as file:
            facts = json.loads(str(file["coterie"]))
            weights = [file[f"array_{index}"] for index in range(sum(name.startswith("array_") for name in file))]
    except (OSError, ValueError, KeyError) as error:
        raise AppError(f"{path}: not an .npz of `peer model export`: {error}") from None
    if facts.get("model") != described:
        raise AppError(f"{path}: a model of another app: {facts.get('model')}; this one is {described}")
    return facts, weights


def _short(value: list[Any]) -> Any:
    text = _canonical(value)
    return value if len(text.encode()) <= _ROOM_BYTES else {"count": len(value), "sha256": digest(value)}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
