"""Training that ends when the agreed losses fall no more: at the same round for everybody, by whole numbers."""

from fractions import Fraction

import numpy as np
import pytest
from chains import Chain
from cluster import Cluster
from hypothesis import given
from hypothesis import strategies as st
from members import make_genesis

from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.contribution import WIDE_UNIT
from coterie.protocol.ledger.genesis import MILLION, Genesis, GenesisError, Stopping, read_genesis
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.ledger.stopping import Progress, after_round
from coterie.protocol.messages.encoding import encode


def stopping(patience: int, millionths: int = 0) -> Stopping:
    return Stopping(patience=patience, min_delta_millionths=millionths)


def measured(chain: Chain, loss: float | None) -> LedgerState:
    """A round in which the model before it has this loss over ten test rows; None: over none."""
    chain.append(chain.contributors())
    evaluated = 0 if loss is None else 10
    return chain.append(chain.model(40, 40, evaluated, evaluated * (loss or 0)))


# When it ends


@pytest.mark.parametrize(
    ("patience", "losses"),
    [
        (1, [5, 5]),
        (1, [5, 4, 4.5]),
        (2, [5, 4, 4.5, 4]),
        (2, [5, 6, 4, 6, 3, 6, 6]),
        (3, [5, 6, 7, 4, 5, 4, 4]),
    ],
)
def test_training_ends_after_so_many_rounds_in_a_row_without_a_smaller_loss(patience: int, losses: list[float]) -> None:
    chain = Chain(4, stopping=stopping(patience))
    kinds = []
    for loss in losses:
        kinds.append(chain.state.kind)
        measured(chain, loss)
    assert kinds == ["train"] * len(losses)
    assert (chain.state.kind, chain.state.phase, chain.state.trained) == ("evaluate", Phase.SHARING, len(losses))
    assert measured(chain, 1).phase is Phase.FINISHED


def test_a_loss_has_to_be_smaller_by_more_than_its_share_of_the_best() -> None:
    chain = Chain(4, stopping=stopping(2, MILLION // 10))
    for loss in (10, 9.5, 8.9, 8.5):
        assert measured(chain, loss).kind == "train", "8.9 is better than 10 by more than a tenth"
    assert measured(chain, 8.1).kind == "evaluate", "8.1 is less than a tenth better than 8.9"


def test_a_loss_below_zero_is_better_when_it_is_further_below() -> None:
    best = Progress(-10 * WIDE_UNIT, WIDE_UNIT)
    for loss, is_better in ((-10.5, False), (-11.5, True), (-9, False)):
        found = after_round(best, stopping(1, MILLION // 10), (0, 0, WIDE_UNIT, int(loss * WIDE_UNIT)))
        assert found is not None
        assert (found.stale == 0) == is_better, loss


def test_losses_are_compared_exactly_where_floats_are_equal() -> None:
    sums = (0, 0, 3, 10**30)
    best = after_round(None, stopping(1), sums)
    assert best == Progress(10**30, 3)
    assert 10**30 / 3 == (10**30 - 1) / 3
    assert after_round(best, stopping(1), (0, 0, 3, 10**30 - 1)) == Progress(10**30 - 1, 3)
    assert after_round(best, stopping(1), (0, 0, 6, 2 * 10**30)) == Progress(10**30, 3, stale=1)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-50, 50)), max_size=12),
    st.integers(1, 4),
    st.sampled_from([0, 1, MILLION // 10, MILLION - 1]),
)
def test_progress_is_what_fractions_say(rounds: list[tuple[int, int]], patience: int, millionths: int) -> None:
    best, stale, found = None, 0, None
    for evaluated, loss in rounds:
        found = after_round(found, stopping(patience, millionths), (0, 0, evaluated, loss))
        if not evaluated:
            continue
        mine = Fraction(loss, evaluated)
        if best is None or best - mine > abs(best) * Fraction(millionths, MILLION):
            best, stale = mine, 0
        else:
            stale += 1
    assert (best is None) == (found is None)
    if found is not None:
        assert (Fraction(found.loss, found.evaluated), found.stale) == (best, stale)


def test_rounds_without_test_rows_and_void_ones_say_nothing() -> None:
    chain = Chain(4, stopping=stopping(1))
    measured(chain, None)
    measured(chain, 5)
    measured(chain, None)
    chain.append(chain.contributors())
    chain.append(chain.refuted())
    assert chain.state.kind == "train"
    assert chain.state.progress == Progress(50 * WIDE_UNIT, 10 * WIDE_UNIT)
    assert measured(chain, 5).kind == "evaluate"


def test_the_totals_of_a_setup_round_are_no_loss() -> None:
    chain = Chain(4, setup_sums=2, stopping=stopping(1))
    assert chain.append(chain.contributors()).kind == "setup"
    assert chain.append(chain.model(40, 40, 10, 1)).progress is None


def test_the_last_round_comes_whether_or_not_the_loss_still_falls() -> None:
    chain = Chain(4, rounds=2, stopping=stopping(5))
    measured(chain, 5)
    assert (measured(chain, 4).kind, chain.state.has_stopped) == ("evaluate", False)


def test_an_evaluation_that_failed_is_repeated_and_a_good_one_ends_the_training_for_good() -> None:
    chain = Chain(4, stopping=stopping(1))
    measured(chain, 5)
    measured(chain, 5)
    chain.append(chain.contributors())
    assert chain.append(chain.refuted()).kind == "evaluate"
    assert measured(chain, 0.1).phase is Phase.FINISHED
    assert (chain.state.kind, chain.state.has_stopped) == ("evaluate", True), "the final model may well be the best"


def test_without_patience_nothing_is_counted_and_nothing_ends() -> None:
    chain = Chain(4, rounds=0)
    for _ in range(4):
        state = measured(chain, 5)
        assert (state.kind, state.progress, state.has_stopped) == ("train", None, False)


# What stands in the genesis


def test_a_genesis_without_patience_has_the_bytes_and_the_id_that_it_always_had() -> None:
    assert make_genesis().federation.hex() == "5d72538dec83767dd0cc616816dd5b00afc5c9bec182971cbf03b33a6bb8f908"
    assert len(make_genesis().encode()) == 141
    assert len(make_genesis(stopping=stopping(3)).encode()) == 144


@pytest.mark.parametrize("one", [None, stopping(1), stopping(2**31, MILLION - 1)])
def test_a_genesis_with_patience_is_read_as_it_was_written(one: Stopping | None) -> None:
    genesis = make_genesis(stopping=one)
    assert read_genesis(genesis.encode()) == genesis


@pytest.mark.parametrize("field", [None, [0, 0], [2**31 + 1, 0], [1, MILLION], [1, -1], [1], [1, 0, 0], 3])
def test_another_encoding_of_no_patience_and_values_out_of_bounds_are_refused(field: object) -> None:
    fields = [getattr(make_genesis(), name) for name in Genesis.__struct_fields__]
    with pytest.raises(GenesisError):
        read_genesis(encode([*fields[:-1], field]))


# Real nodes


def test_all_members_end_with_the_same_round_also_one_that_was_away() -> None:
    cluster = Cluster(4, make_genesis(rounds=50, stopping=stopping(2), share_deadline_ms=2_000), seed=3)

    def train(work: Train) -> Contribution:
        """Each round adds 0.25 to all weights, and the loss is least at 0.75: in the fourth model."""
        weight = float(np.frombuffer(work.weights, dtype="<f4")[0])
        update = np.full(6, 0.25, dtype=np.float32) if work.kind == "train" else None
        return Contribution(10, (4.0, 4.0 * (weight - 0.75) ** 2), cluster.random.randbytes(32), update)

    for site in cluster.sites:
        site.train = train
    cluster.start()
    cluster.run(lambda: all(site.node is not None and site.node.state.trained >= 2 for site in cluster.sites))
    cluster.crash(3)
    cluster.run(lambda: cluster.all_at("finished"))
    cluster.start(3)
    cluster.run(lambda: cluster.all_at("finished"))
    states = [site.node.state for site in cluster.sites if site.node is not None]
    assert {state.head for state in states} == {states[0].head}
    # The losses of models 0 to 5 fall up to model 3; those of 4 and 5 are known once 6 is there.
    assert [(state.trained, state.has_stopped) for state in states] == [(6, True)] * 4
    (fact,) = [notice for notice in cluster.sites[0].notices if notice.kind == "finished"]
    assert fact.text == "training is finished after 6 rounds: the loss has not fallen any more (--patience)"
