"""Texts that peers chose: one line, of bounded length, which paints over nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.network.frames import MAX_REASON_BYTES, decode_reason
from coterie.peer.network.texts import MAX_TEXT_CHARS, clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Århus", "Århus"),
        ("Nguyễn", "Nguyễn"),
        ("नमस्ते", "नमस्ते"),
        ("\x1b[31mred\r\n\u202eevil", " [31mred   evil"),
        ("Z" + "\u0301" * 50 + "o", "Z" + "\u0301" * 3 + "o"),
        ("\u0301" * 9, "\u0301" * 3),
    ],
)
def test_what_is_no_writing_is_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_reason_is_cut_to_a_line() -> None:
    assert len(decode_reason(b"W" * MAX_REASON_BYTES)) == MAX_TEXT_CHARS


@given(st.binary(max_size=600))
def test_every_reason_is_one_printable_line(body: bytes) -> None:
    text = decode_reason(body)
    assert text.isprintable()
    assert len(text) <= MAX_TEXT_CHARS
