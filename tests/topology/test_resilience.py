"""How many peers may die, as the simulator finds it, and the pictures that have to stay legible."""

from pathlib import Path

import pytest

from coterie.topology import simulate
from coterie.topology.options import Options
from coterie.topology.resilience import _counts, resilience


def test_up_to_f_dead_peers_cost_no_round_and_one_more_costs_them_all() -> None:
    trials = resilience(options=Options(topology="complete", peers=7, seed=1), trials=1)
    assert [(trial.dead, trial.share) for trial in trials] == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.0), (4, 0.0)]


def test_the_dead_hub_of_a_star_takes_all_rounds_with_it() -> None:
    trials = resilience(options=Options(topology="star", peers=5), trials=3)
    assert {trial.share for trial in trials if "0" in trial.names} == {0.0}
    assert {trial.share for trial in trials if trial.dead == 1 and "0" not in trial.names} == {1.0}


def test_the_same_options_kill_the_same_peers() -> None:
    options = Options(topology="ring", peers=5, seed=4)
    assert resilience(options=options) == resilience(options=options)


def test_in_a_large_federation_only_some_numbers_are_tried_and_always_f_and_the_next() -> None:
    counts = list(_counts(33, 100, 1))
    assert len(counts) <= 10
    assert {0, 33, 34, 35} <= set(counts)


def test_a_picture_of_many_peers_shows_lanes_of_some_of_them_and_of_all_that_matter() -> None:
    from coterie.topology import pictures

    result = simulate(topology="star", peers=40, rounds=1, ideal_crypto=True, byzantine=("2:withhold",))
    shown = pictures._shown(result)
    liars = {number for number, site in enumerate(result.sites) if site["strategies"]}
    proposers = {site for site, what, _ in result.timeline.marks if what == "Proposal"}
    assert len(shown) == pictures.MAX_LANES
    assert liars | proposers <= set(shown)


def test_pictures_are_drawn_of_a_run_in_which_nothing_was_decided(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from coterie.topology import pictures

    options = Options(topology="complete", peers=4, rounds=1, ideal_crypto=True, limit_ms=5_000)
    result = simulate(options=options, byzantine=("2:silent",), beyond_f=True)
    assert result.decided == 0
    assert len(pictures.draw(tmp_path, result)) == 3
