"""How many peers may die, as the simulator finds it."""

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
