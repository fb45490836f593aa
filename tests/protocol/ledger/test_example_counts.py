"""What a member gains by the number of examples that it says it has: at most the weight that the founder fixed."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from cluster import Cluster
from members import make_genesis

from coterie.crypto.sharing.fixed_point import encode_wide
from coterie.crypto.vectors import add_into
from coterie.protocol.jobs import CheckVector, Contribution, Encode, Train
from coterie.protocol.ledger import state as ledger
from coterie.protocol.ledger.blocks import Model
from coterie.protocol.ledger.contribution import WIDE_UNIT, Layout, coarse
from coterie.protocol.ledger.state import LedgerState

LIAR, EXAMPLES, CAP = 3, coarse(100), coarse(400)


def trained_with_a_liar(claimed: int) -> Cluster:
    """Three honest members move each weight up by 0.25 a round; one that claims more, down by 1."""
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=4, examples_ref=CAP), seed=1)

    def train(work: Train, examples: int, step: float) -> Contribution:
        update = np.full(6, step, np.float32) if work.kind == "train" else None
        return Contribution(examples, (4.0, 8.0), cluster.random.randbytes(32), update)

    for site in cluster.sites:
        site.train = lambda work: train(work, EXAMPLES, 0.25)
    cluster.sites[LIAR].train = lambda work: train(work, claimed, -1.0)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    return cluster


def movement(cluster: Cluster) -> float:
    """How far the weights moved in four rounds."""
    assert cluster.sites[0].node is not None
    return float(np.frombuffer(cluster.sites[0].node.ctx.weights or b"", "<f4")[0])


@pytest.mark.parametrize("claimed", [CAP, 2**40, 2**81])
def test_one_member_weighs_what_the_founder_fixed_at_most_whatever_it_claims(claimed: int) -> None:
    mean = (3 * EXAMPLES * 0.25 - CAP * 1.0) / (3 * EXAMPLES + CAP)
    assert movement(trained_with_a_liar(claimed)) == pytest.approx(4 * mean, rel=1e-3)


def test_a_weight_that_follows_the_claimed_counts_lets_one_member_take_the_model_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = ledger._apply_model

    def following(state: LedgerState, body: Model, height: int, digest: bytes) -> LedgerState:
        after = ours(state, body, height, digest)
        assert after.sums is not None
        assert state.contributors is not None
        mean = after.sums[1] // (WIDE_UNIT * len(state.contributors.dealers))
        cap = 1 << (4 * mean - 1).bit_length()
        return replace(after, genesis=msgspec.structs.replace(after.genesis, examples_ref=cap))

    with monkeypatch.context() as weakened:
        weakened.setattr(ledger, "_apply_model", following)
        moved = movement(trained_with_a_liar(2**60))
    first = (3 * EXAMPLES * 0.25 - CAP * 1.0) / (3 * EXAMPLES + CAP)
    assert moved == pytest.approx(first + 3 * -1.0, rel=1e-3), "from the second round on, the others count for nothing"


def test_a_member_with_more_examples_than_count_is_told_so_once() -> None:
    cluster = trained_with_a_liar(1_000)
    assert cluster.sites[LIAR].facts("capped") == [{"counted": CAP, "examples": 1_000}]
    assert all(not site.facts("capped") for site in cluster.sites[:LIAR])


def moved_by_a_divisor_of(stated: int) -> float | str:
    """How far a weight moves by four updates of 0.25 with as many examples each, where one member states another
    capped count than the one that it scaled its update by. Returns what is wrong with their sum where something is.
    """
    layout = Layout(3, 4)
    total = np.zeros(layout.columns, dtype=np.uint64)
    for number in range(4):
        given = Contribution(EXAMPLES, (4.0, 8.0), bytes([number]) * 32, np.full(3, 0.25, np.float32))
        vector = np.frombuffer(Encode(1, layout, given, 4.0, 4, CAP).run().vector, np.uint64).copy()
        if number == LIAR:
            vector[layout.slots : layout.slots + 4] = encode_wide(stated)
        add_into(total, vector)
    base = np.zeros(3, "<f4").tobytes()
    job = CheckVector(1, bytes(32), total.tobytes(), layout, 4, bytes(32), 4.0, 4, CAP, base, own_sum=None)
    checked = job.run()
    return checked.wrong or float(np.abs(np.frombuffer(checked.weights, "<f4")).max())


def test_a_false_count_does_not_move_the_weights_beyond_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moved_by_a_divisor_of(EXAMPLES) == pytest.approx(0.25, rel=1e-3)
    assert moved_by_a_divisor_of(25 - 3 * EXAMPLES) <= 4.0, (
        "as far as a bad update of the right form could move them, too"
    )
    assert moved_by_a_divisor_of(4 - 3 * EXAMPLES) == "the mean of the updates is beyond the clip"

    monkeypatch.setattr(CheckVector, "_check_mean", lambda self, units, limit, capped: None)
    assert moved_by_a_divisor_of(4 - 3 * EXAMPLES) > 6 * 4.0
