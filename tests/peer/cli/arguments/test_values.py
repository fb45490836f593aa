"""Readers for the values of options: what they take, and what they say of the rest."""

import argparse

import pytest

from coterie.peer.cli.arguments.values import duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("45", 45.0), ("45s", 45.0), ("30m", 1800.0), ("1.5h", 5400.0), ("0.5", 0.5)]
)
def test_a_time_is_read_in_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    assert duration(0.01, 86_400)(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "30 min", "30d", "0", "-1s", "25h", "nan", "inf", "infm", "1e999h"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a time from 0.01 to 86400 seconds .* 45s, 30m or 2h"):
        duration(0.01, 86_400)(text)
