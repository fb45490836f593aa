"""Hypothesis strategies for every structure of the wire, made from its own bounds, so that none is forgotten."""

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from coterie.protocol.messages.kinds import KINDS, Message

MANY = 3
"""Elements of a sequence that may be longer."""

EXTRA_BYTES = 40
"""Bytes of a string above what it must have at least."""


def values(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a structure, its bounds included."""
    return _values(inspect.type_info(kind))


def messages() -> st.SearchStrategy[Message]:
    """Messages of every kind."""
    return st.one_of(*(values(kind) for kind, _, _ in KINDS))


def _values(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _values(field.type) for field in fields})
        case inspect.BytesType(min_length=low, max_length=high):
            low = low or 0
            return st.binary(min_size=low, max_size=low + EXTRA_BYTES if high is None else min(high, low + EXTRA_BYTES))
        case inspect.StrType(min_length=low, max_length=high):
            top = EXTRA_BYTES if high is None else min(high, EXTRA_BYTES)
            return st.text(st.characters(codec="utf-8"), min_size=low or 0, max_size=top)
        case inspect.IntType(ge=low, le=high):
            low, high = 0 if low is None else low, 2**64 - 1 if high is None else high
            return st.sampled_from([low, high]) | st.integers(low, high)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType(values=options):
            return st.sampled_from(list(options))
        case inspect.VarTupleType(item_type=item, min_length=low, max_length=high):
            top = max(low or 0, MANY) if high is None else min(high, max(low or 0, MANY))
            return st.lists(_values(item), min_size=low or 0, max_size=top).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(_values, items))
        case inspect.UnionType(types=types):
            return st.one_of(*map(_values, types))
        case inspect.Metadata(type=inner):
            return _values(inner)
        case _:
            raise NotImplementedError(f"a strategy for {info}")
