"""The description of an app, which must be equal at all members and stands in the genesis.

It is JSON with sorted keys, so equal options make equal texts. A long list is replaced by its length and its hash. An
exported model contains the description too, and only an app with an equal one reads it.
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
"""A list up to this size stands in the description as it is, so that a joiner with another one can be told of both."""


def description(app: str, version: int, **fields: Any) -> str:
    """The description.

    Args:
        app: the name of the adapter.
        version: the version of the rules by which it trains.
        **fields: the options, as plain values of JSON.

    Raises:
        AppError: the options have no room in a genesis.
    """
    shown = {name: _short(value) if isinstance(value, list) else value for name, value in fields.items()}
    text = _canonical({"app": app, "version": version, **shown})
    if len(text.encode()) > MAX_DESCRIPTOR_BYTES:
        raise AppError(
            f"the options take {len(text.encode())} bytes, and a genesis has room for {MAX_DESCRIPTOR_BYTES}"
        )
    return text


def digest(value: Any) -> str:
    """The SHA-256 of a plain value of JSON, in hexadecimal."""
    return hashlib.sha256(b"coterie/app\x00" + _canonical(value).encode()).hexdigest()


def as_json(value: Any) -> Any:
    """An option as a plain value of JSON. A value that JSON has no form for becomes its name or its repr.

    Raises:
        AppError: the repr of an object contains its address in memory, which differs at each start.
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
    """A function or class as members compare it: its name, and for a partial its arguments too.

    Raises:
        AppError: an argument cannot be compared.
    """
    if isinstance(thing, partial):
        return {"of": called(thing.func), "arguments": as_json(thing.args), **as_json(thing.keywords)}
    return getattr(thing, "__qualname__", None) or repr(thing)


def exported(path: str | Path, described: str) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """The facts and the weights in an `.npz` file of `peer model export`.

    Raises:
        AppError: the file is not one of these, or its description is not `described`.
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
