"""Learning on divided data, and quantities with units."""

import pytest

from coterie.topology import simulate
from coterie.topology.engine.learning import DataError, Learning
from coterie.topology.units import (
    UnitError,
    read_bandwidth_mbit,
    read_milliseconds,
    read_outage,
    read_range_ms,
    read_share,
)

pytest.importorskip("sklearn")


@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_a_model_is_learned_from_data_that_no_site_has_all_of(skew: float) -> None:
    result = simulate(topology="complete", peers=5, rounds=5, learn="iris", skew=skew, seed=1)
    accuracies = [row["accuracy"] for row in result.table() if "accuracy" in row]
    assert accuracies[0] < 0.5
    assert accuracies[-1] > 0.75


def test_skewed_shards_hold_few_labels_and_even_ones_all() -> None:
    def labels(skew: float) -> list[int]:
        learning = Learning("digits", 10, skew)
        return [len(set(learning._labels[train])) for train, _ in learning._parts]

    assert min(labels(0.0)) == 10
    assert max(labels(1.0)) <= 3


def test_data_that_cannot_be_had_or_divided_is_refused_with_what_would_work() -> None:
    with pytest.raises(DataError, match="there are digits"):
        Learning("faces", 5)
    with pytest.raises(DataError, match="enough for 18 sites"):
        Learning("iris", 40)


def test_quantities_are_read_with_their_units() -> None:
    assert read_range_ms("20..80ms") == (20, 80)
    assert read_range_ms("1s") == (1000, 1000)
    assert read_milliseconds("1.5m") == 90_000
    assert read_bandwidth_mbit("2gbit") == 2000
    assert read_share("5%") == 0.05
    outage = read_outage("Lyon A--Paris at 10s for 500ms")
    assert (outage.site, outage.other, outage.at_ms, outage.for_ms) == ("Lyon A", "Paris", 10_000, 500)


@pytest.mark.parametrize("text", ["80..20ms", "fast", "3 parsecs", ""])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        read_range_ms(text)
