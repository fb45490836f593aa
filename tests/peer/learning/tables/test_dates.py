"""Dates as days: every common form that cannot be misread, and none that can."""

import pytest

from coterie.peer.learning.tables.dates import is_date, read_dates, written_day

DAY = 19753.0
"""2024-01-31"""


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1970-01-01", 0),
        ("1969-12-31", -1),
        ("2024-01-31", DAY),
        ("2024/1/31", DAY),
        ("2024.01.31", DAY),
        ("31.1.2024", DAY),
        ("31. 1. 2024", DAY),
        ("31/01/2024", DAY),
        ("01/31/2024", DAY),
        ("31-01-2024", DAY),
        ("31JAN2024", DAY),
        ("31-Jan-2024", DAY),
        ("31 January 2024", DAY),
        ("2024-01-31 12:00", DAY + 0.5),
        ("2024-01-31T06:00:00Z", DAY + 0.25),
        ("2024-01-31T06:00:00.000+06:00", DAY),
        ("2024-01-31 18:00:00-0600", DAY + 1),
        ("2024-01-31T00:00:43.2", DAY + 0.0005),
    ],
)
def test_a_date_becomes_days_since_1970(text: str, days: float) -> None:
    assert is_date(text)
    found, wrong = read_dates([text])
    assert wrong == {}
    assert found[text] == pytest.approx(days, abs=1e-9)


def test_one_day_above_twelve_shows_the_order_of_the_whole_column() -> None:
    assert read_dates(["03/04/2024", "13/04/2024"])[0]["03/04/2024"] == read_dates(["2024-04-03"])[0]["2024-04-03"]
    assert read_dates(["03/04/2024", "04/13/2024"])[0]["03/04/2024"] == read_dates(["2024-03-04"])[0]["2024-03-04"]


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (["03/04/2024", "05/06/2024"], "does not show which part is the day and which the month"),
        (["13/04/2024", "04/13/2024"], "does not show which part is the day and which the month"),
        (["2023-02-29"], "is a day that does not exist"),
        (["2024-01-31 25:00"], "is a day that does not exist"),
        (["2024-01-31", "soon"], "is no date, as the others in this column are"),
    ],
)
def test_a_date_that_could_be_misread_or_is_none_is_refused(texts: list[str], what: str) -> None:
    assert what in read_dates(texts)[1].values()


@pytest.mark.parametrize("text", ["12:30", "1.5", "2024", "20240131", "31.1.24", "31 Foo 2024", "2024-01", "1-2-3"])
def test_what_is_no_date_with_a_whole_year_is_not_taken_for_one(text: str) -> None:
    assert not is_date(text)


def test_days_are_told_as_dates() -> None:
    assert written_day(DAY + 0.7) == "2024-01-31"


def test_days_that_no_calendar_has_are_told_as_a_number() -> None:
    assert written_day(1e12) == "1e+12 days since 1970-01-01"
