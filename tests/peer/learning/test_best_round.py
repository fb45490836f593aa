"""The best model: what the ledger says of it, what a store keeps of it, and the commands that give it out."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from chains import Chain
from cluster import Cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from members import identity, make_genesis
from table_homes import table_genesis

from coterie.peer.errors import Exit
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import FILE_NAME, Reader, Store
from coterie.peer.learning.best_round import Scores
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.reporting.status import replay
from coterie.protocol.ledger.blocks import Membership
from coterie.protocol.ledger.genesis import Genesis, Stopping
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.records import BlockDecided, ModelSaved, Record

Run = Callable[..., tuple[int, str, str]]


def weights(number: int, length: int = 6) -> bytes:
    """Those of round ``number``; 0: those that the federation begins with."""
    return np.full(length, number, dtype="<f4").tobytes()


def saved(number: int, length: int = 6) -> ModelSaved:
    return ModelSaved(digest_of(weights(number, length)), weights(number, length))


def decided(chain: Chain) -> BlockDecided:
    return BlockDecided(len(chain.blocks), chain.blocks[-1].block, chain.blocks[-1].certificate)


class Training:
    """A ledger in which each round tells the loss of the model before it, and what a member writes down of it."""

    def __init__(self, genesis: Genesis | None = None, **changes: Any) -> None:
        self.chain = Chain(1, genesis or make_genesis(min_peers=3, **{"rounds": 0} | changes))
        joins = [self.chain.join(identity(number), self.chain.genesis.model) for number in (1, 2)]
        self.chain.append(Membership(tuple(joins)))
        self.length = self.chain.genesis.parameters
        self.records: list[list[Record]] = [[saved(0, self.length), decided(self.chain)]]

    def setup(self, *sums: float) -> None:
        self.setup_sums = sums
        self._round(self.chain.model, 3, 3, *sums)

    def round(self, loss: float | None, *, is_here: bool = True) -> None:
        """Decide a round. ``loss``: of the model before it; ``is_here``: whether the member has the new model."""
        kind, number = self.chain.state.kind, self.chain.state.round
        evaluated = 0 if loss is None else 10
        metrics = [0] * len(self.chain.genesis.metrics)
        new = saved(number, self.length)
        self._round(
            lambda *sums: self.chain.model(*sums, weights=new.weights_hash if kind == "train" else None),
            *(30, 30, evaluated, evaluated * (loss or 0), *metrics),
        )
        if is_here and kind == "train":
            self.records[-1].append(new)

    def void(self) -> None:
        self.chain.append(self.chain.contributors())
        contributors = decided(self.chain)
        self.chain.append(self.chain.refuted())
        self.records.append([contributors, decided(self.chain)])

    def _round(self, model: Callable[..., Any], *sums: float) -> None:
        self.chain.append(self.chain.contributors())
        contributors = decided(self.chain)
        self.chain.append(model(*sums))
        self.records.append([contributors, decided(self.chain)])

    def scores(self) -> Scores:
        scores = Scores()
        for before, block, after in zip(self.chain.states, self.chain.blocks, self.chain.states[1:], strict=False):
            scores.on_block(before, block.block, after)
        return scores

    def write(self, folder: Path, kept: Settings | None = None) -> Path:
        """Write all of it down, round by round, as a peer would."""
        with Store.open(folder) as store:
            store.keep("genesis", self.chain.genesis.encode())
            store.keep("settings", (kept or Settings()).encode())
            for records in self.records:
                store.persist(records)
        return folder


def kept(folder: Path) -> bytes | None:
    with Reader.open(folder) as reader:
        model = reader.best_model()
    return None if model is None else model.weights


# What the ledger says


def test_the_loss_of_a_model_is_that_of_the_round_after_it() -> None:
    training = Training()
    for loss in (9.0, 4.0, 5.0):
        training.round(loss)
    found = [(one.weights, one.round, one.trained, one.loss) for one in training.scores().models]
    losses = (9.0, 4.0, 5.0, None)
    assert found == [(saved(number).weights_hash, number, number, loss) for number, loss in enumerate(losses)]


def test_the_last_model_gets_its_loss_from_the_evaluation() -> None:
    training = Training(rounds=2)
    for loss in (9.0, 4.0, 3.0):
        training.round(loss)
    best = training.scores().best
    assert best is not None
    assert (best.round, best.trained, best.loss) == (2, 2, 3.0)


def test_the_totals_of_a_setup_round_are_no_loss() -> None:
    # As many sums as a round of training has: nothing but its place tells it apart.
    training = Training(setup_sums=2)
    training.setup(10, -50)
    assert training.scores().best is None
    training.round(7.0)
    best = training.scores().best
    assert best is not None
    assert (best.round, best.loss) == (0, 7.0)


def test_a_round_without_test_rows_says_nothing_of_a_model() -> None:
    training = Training()
    training.round(None)
    training.round(None)
    assert training.scores().best is None


def test_of_equal_losses_the_earlier_model_is_the_best(tmp_path: Path) -> None:
    training = Training()
    for loss in (9.0, 4.0, 4.0, 5.0):
        training.round(loss)
    best = training.scores().best
    assert best is not None
    assert best.round == 1
    assert kept(training.write(tmp_path)) == weights(1)


# What a store keeps


@settings(max_examples=20)
@given(st.lists(st.one_of(st.none(), st.integers(0, 6), st.just("void")), max_size=8), st.booleans())
def test_a_store_keeps_the_model_that_the_ledger_says_is_the_best(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[Any], has_setup: bool
) -> None:
    training = Training(setup_sums=2 * has_setup)
    if has_setup:
        training.void()
        training.setup(10, -50)
    for one in rounds:
        training.void() if one == "void" else training.round(one)
    best = training.scores().best
    folder = training.write(tmp_path_factory.mktemp("home"))
    assert kept(folder) == (None if best is None else weights(best.round if best.trained else 0))


def test_records_that_come_together_are_as_good_as_one_by_one(tmp_path: Path) -> None:
    training = Training()
    for loss in (9.0, 4.0, 5.0, 6.0):
        training.round(loss)
    training.records = [[record for records in training.records for record in records]]
    assert kept(training.write(tmp_path)) == weights(1)


def test_the_best_model_outlives_later_ones_and_restarts(tmp_path: Path) -> None:
    training = Training()
    for loss in (9.0, 4.0):
        training.round(loss)
    training.write(tmp_path)
    for loss in (5.0, 4.5, 6.0):
        done = len(training.records)
        training.round(loss)
        with Store.open(tmp_path) as store:
            store.persist(training.records[done])
    assert kept(tmp_path) == weights(1)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as link:
        assert link.execute("SELECT count(*) FROM models").fetchone() == (2,), "one beside the newest, and no more"


def test_a_transaction_that_failed_keeps_no_best_model(tmp_path: Path) -> None:
    training = Training()
    for loss in (9.0, 4.0):
        training.round(loss)
    last = training.records.pop()
    training.write(tmp_path)
    with Store.open(tmp_path) as store:
        with pytest.raises(RuntimeError):
            store.persist([*last, BlockDecided(1, b"another", ())])
        assert store.best_model() == saved(0)
        store.persist(last)
        assert store.best_model() == saved(1)


def test_a_round_that_a_peer_was_away_for_leaves_the_best_that_it_had(tmp_path: Path) -> None:
    training = Training()
    training.round(9.0)
    training.round(4.0, is_here=False)
    for loss in (1.0, 5.0, 6.0):
        training.round(loss)
    best = training.scores().best
    assert best is not None
    assert best.round == 2
    assert kept(training.write(tmp_path)) == weights(1)


def test_a_home_from_before_the_best_was_kept_is_read_and_goes_on(tmp_path: Path) -> None:
    training = Training()
    training.round(9.0)
    training.write(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as link:
        link.executescript(
            """
            CREATE TABLE model (one INTEGER PRIMARY KEY CHECK (one = 1), hash BLOB NOT NULL, weights BLOB NOT NULL);
            INSERT INTO model SELECT 1, hash, weights FROM models ORDER BY id DESC LIMIT 1;
            DROP TABLE models;
            DELETE FROM facts WHERE name = 'best';
            """
        )
    with Reader.open(tmp_path) as reader:
        assert reader.models() == (3, saved(1), None)
    training.round(4.0)
    with Store.open(tmp_path) as store:
        assert store.load().model == saved(1)
        store.persist(training.records[-1])
    with Store.open(tmp_path) as store:
        assert store.models() == (5, saved(2), saved(1))


def test_damaged_weights_are_not_given_out_as_the_best(tmp_path: Path) -> None:
    training = Training()
    training.round(9.0)
    training.write(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as link:
        link.execute("UPDATE models SET weights = ? WHERE hash = ?", (weights(5), saved(0).weights_hash))
        link.commit()
    assert kept(tmp_path) is None
    with Reader.open(tmp_path) as reader:
        assert not reader.has_damaged_model()


def test_nodes_that_train_leave_the_best_model_in_their_stores(tmp_path: Path, finished: Cluster) -> None:
    scores = Scores()
    with Store.open(tmp_path) as store:
        store.keep("genesis", finished.genesis.encode())
        for record in finished.sites[1].disk.records:
            store.persist([record])
        assert replay(store, scores.on_block) == finished.sites[1].node.state
        model = store.best_model()
    assert [one.loss is not None for one in scores.models] == [True] * 3
    assert scores.best is not None
    assert model is not None
    assert model.weights_hash == scores.best.weights


# The commands


@pytest.fixture
def training(tmp_path: Path) -> Training:
    """That of a table; the model of a round predicts what grows with the round."""
    rows = "\n".join(f"{row},{3 * row}" for row in range(20))
    (tmp_path / "table.csv").write_text(f"x,y\n{rows}\n")
    (tmp_path / "home").mkdir(mode=0o700)
    app = TableApp.found(tmp_path / "table.csv", "y", "linear")
    training = Training(table_genesis(app, rounds=4))
    training.setup(*Learner(app).setup())
    return training


def predicted(out: str) -> list[float]:
    return [float(line) for line in out.splitlines()[1:]]


def test_the_best_model_is_exported_and_predicted_with(tmp_path: Path, training: Training, peer: Run) -> None:
    for loss in (9.0, 8.0, 4.0, 6.25, 5.0):
        training.round(loss)
    training.write(tmp_path / "home")
    code, out, err = peer("model", "export", "--out", "best.npz", "--best")
    assert (code, err) == (Exit.OK, "")
    assert "best.npz: 2 arrays after 2 of 4 rounds" in out
    assert "Its RMSE 2 over the members' test rows is the best so far." in out
    with np.load("best.npz") as file:
        assert file["array_0"].tolist() == [[2.0]]
        facts = json.loads(str(file["coterie"]))
    told = {name: facts[name] for name in ("round", "trained", "loss", "best", "matches_ledger", "current")}
    assert told == {"round": 2, "trained": 2, "loss": 4.0, "best": True, "matches_ledger": False, "current": False}
    code, out, err = peer("predict", "--data", "table.csv", "--best")
    assert (code, err) == (Exit.OK, "peer: note: this is the best model so far, that of round 2: RMSE 2\n")
    assert peer("predict", "--data", "table.csv", "--model", "best.npz")[1] == out
    assert predicted(out) != predicted(peer("predict", "--data", "table.csv")[1])


def test_the_newest_model_is_exported_with_a_word_on_the_better_one(
    tmp_path: Path, training: Training, peer: Run
) -> None:
    for loss in (9.0, 8.0, 4.0, 6.25, 9.0):
        training.round(loss)
    training.write(tmp_path / "home")
    _, out, _ = peer("model", "export", "--out", "m.npz")
    assert "Its RMSE 3 over the members' test rows is not the best so far: that of round 2 has RMSE 2 (--best)" in out
    with np.load("m.npz") as file:
        assert json.loads(str(file["coterie"]))["best"] is False


def test_a_training_that_stopped_early_is_finished(tmp_path: Path, training: Training, peer: Run) -> None:
    stopping = Stopping(patience=1, min_delta_millionths=250_000)
    early = Training(msgspec.structs.replace(training.chain.genesis, stopping=stopping))
    early.setup(*training.setup_sums)
    for loss in (9.0, 4.0, 5.0, 6.0):
        early.round(loss)
    assert early.chain.state.phase is Phase.FINISHED
    early.write(tmp_path / "home")
    assert peer("predict", "--data", "table.csv")[2] == ""
    code, out, _ = peer("model", "export", "--out", "m.npz")
    assert code == Exit.OK
    assert "after 3 of 4 rounds" in out
    assert "Its RMSE 2.44949 over the members' test rows is not the best so far: that of round 1 has RMSE 2" in out
    genesis = json.loads(peer("ledger", "show", "--json")[1])[0]
    assert (genesis["rounds"], genesis["patience"], genesis["min_delta"]) == (4, 1, 0.25)


@pytest.mark.parametrize(("asked", "is_here"), [(4, True), (2, True), (3, False), (0, False)])
def test_the_newest_and_the_best_round_can_be_asked_for(
    tmp_path: Path, training: Training, peer: Run, asked: int, is_here: bool
) -> None:
    for loss in (9.0, 8.0, 4.0, 6.25, 5.0):
        training.round(loss)
    training.write(tmp_path / "home")
    code, out, err = peer("model", "export", "--out", "m.npz", "--round", str(asked))
    assert code == (Exit.OK if is_here else Exit.USAGE)
    assert "catching up" not in out
    if is_here:
        with np.load("m.npz") as file:
            assert file["array_0"].tolist() == [[asked]]
    else:
        assert "keeps only the newest model, that of round 4, and the best that it ever had, that of round 2" in err


@pytest.mark.parametrize("words", [("model", "export", "--out", "m.npz"), ("predict", "--data", "table.csv")])
def test_a_peer_that_was_away_in_the_best_round_says_so(
    tmp_path: Path, training: Training, peer: Run, words: tuple[str, ...]
) -> None:
    for loss, is_here in ((9.0, True), (8.0, False), (4.0, True), (6.25, True), (5.0, True)):
        training.round(loss, is_here=is_here)
    training.write(tmp_path / "home")
    code, out, err = peer(*words, "--best")
    assert (code, out) == (Exit.STORE, "")
    assert "the best model is that of round 2 (RMSE 2), which this home never had: its peer was away" in err
    assert "It has the newest model, that of round 4" in err
    assert "peer model export --best" in err
    assert not Path("m.npz").exists()
    assert peer(*words)[0] == Exit.OK


@pytest.mark.parametrize("words", [("model", "export", "--out", "m.npz"), ("predict", "--data", "table.csv")])
def test_before_a_loss_is_known_there_is_no_best_model(
    tmp_path: Path, training: Training, peer: Run, words: tuple[str, ...]
) -> None:
    training.write(tmp_path / "home")
    code, _, err = peer(*words, "--best")
    assert code == Exit.STORE
    assert "--best: no model has a loss yet" in err


def test_the_best_and_a_round_are_not_asked_for_together(peer: Run) -> None:
    code, _, err = peer("model", "export", "--out", "m.npz", "--best", "--round", "2")
    assert code == Exit.USAGE
    assert "not allowed with" in err


def test_a_file_has_no_best_model(peer: Run) -> None:
    code, _, err = peer("predict", "--data", "table.csv", "--model", "m.npz", "--best")
    assert code == Exit.USAGE
    assert "peer model export --best --out FILE" in err
