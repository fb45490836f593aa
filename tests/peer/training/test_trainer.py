"""From options to what is trained: a joiner takes what the federation has, and is refused where it expects another."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import trio
from members import identity, make_genesis

from coterie.peer.errors import Exit
from coterie.peer.federation.founding import found
from coterie.peer.federation.invites import join_command
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store
from coterie.peer.learning.app import AppError
from coterie.peer.learning.figures import tells_areas
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.learning.table_models.task import Task
from coterie.peer.runtime.control_handlers import answer
from coterie.peer.runtime.session import Session
from coterie.peer.training.trainer import (
    DataProblem,
    ModelMismatch,
    Trainer,
    check_initial_weights,
    check_model,
    founder_learner,
    member_learner,
    published_classes,
    told_table,
)
from coterie.protocol.jobs import Train
from coterie.protocol.ledger.contribution import RoundKind
from coterie.protocol.ledger.genesis import Continued, Genesis
from coterie.protocol.messages.encoding import digest_of

FOUNDER = {"data": "data.csv", "target": "y", "model": "mlp", "hidden": (4,), "classes": ("1", "0")}


@pytest.fixture
def genesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Genesis:
    """What a founder with these options fixes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 5)
    learner = founder_learner(Settings().with_given(FOUNDER))
    return make_genesis(
        model=learner.descriptor,
        shapes=learner.shapes,
        metrics=learner.metrics,
        final_metrics=learner.final_metrics,
        setup_sums=len(learner.setup()),
    )


def test_a_joiner_takes_target_model_layers_and_classes_from_the_federation(genesis: Genesis) -> None:
    assert member_learner(Settings(data="data.csv"), genesis).descriptor == genesis.model


def test_a_joiner_may_say_what_the_federation_has(genesis: Genesis) -> None:
    same = Settings().with_given(FOUNDER | {"classes": ("0.0", "1.0")})
    assert member_learner(same, genesis).descriptor == genesis.model


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("target", "b", "target is 'y', and not 'b'; leave --target out"),
        ("model", "linear", "model is 'mlp', and not 'linear'; leave --model out"),
        ("hidden", (16,), "--hidden: the federation's is 4, and not 16; leave --hidden out"),
        ("classes", ("a", "b"), "--classes: the federation's is 0,1, and not a,b; leave --classes out"),
    ],
)
def test_a_joiner_that_expects_something_else_is_refused_with_both_sides(
    genesis: Genesis, option: str, value: object, told: str
) -> None:
    with pytest.raises(ModelMismatch, match=told) as caught:
        member_learner(Settings(data="data.csv").with_given({option: value}), genesis)
    assert caught.value.code is Exit.MODEL


@pytest.mark.parametrize("metrics", [("brier",), ()])
def test_a_federation_that_adds_up_less_is_joined_and_goes_on(genesis: Genesis, metrics: tuple[str, ...]) -> None:
    older = msgspec.structs.replace(genesis, metrics=metrics, final_metrics=())
    learner = member_learner(Settings(data="data.csv"), older)
    assert learner.metrics == metrics
    learner.prepare(learner.setup())
    evaluation = learner.evaluate(learner.initial())
    assert (evaluation.examples, len(evaluation.metrics)) == (2, len(metrics))


def test_a_federation_that_adds_up_what_is_not_known_here_is_refused_by_name(genesis: Genesis) -> None:
    newer = msgspec.structs.replace(genesis, metrics=("accuracy", "kappa"))
    with pytest.raises(ModelMismatch, match="adds up 'kappa', which this version .* take the founder's version"):
        member_learner(Settings(data="data.csv"), newer)


@pytest.mark.parametrize("name", ["accuracy", "1 in 0.99-1"])
def test_what_gives_rows_of_a_class_away_is_added_up_in_no_round_but_the_last(genesis: Genesis, name: str) -> None:
    older = msgspec.structs.replace(genesis, metrics=("brier", name))
    with pytest.raises(
        ModelMismatch, match=f"adds up '{name}' in each round, which reveals the rows of a member .* found it anew"
    ):
        member_learner(Settings(data="data.csv"), older)


def test_each_round_has_the_metrics_and_the_evaluation_the_final_ones_too(genesis: Genesis) -> None:
    learner = member_learner(Settings(data="data.csv"), genesis)
    assert learner.metrics == ("brier", "probability")
    assert learner.final_metrics[:2] == ("accuracy", "0 in 0-0.01")
    trainer, weights, totals = Trainer(learner), learner.initial().tobytes(), tuple(learner.setup())
    each, last = (trainer(Train(1, kind, weights, totals)).sums for kind in get_args(RoundKind)[1:])
    assert last[: len(each)] == each
    assert len(each) == len(("evaluated", "loss", *genesis.metrics))
    assert sum(last[len(each) + 1 :]) == pytest.approx(2), "every test row is in one bin"


def test_a_federation_that_has_added_up_its_final_metrics_before_does_not_do_so_again(genesis: Genesis) -> None:
    learner = member_learner(Settings(data="data.csv"), msgspec.structs.replace(genesis, final_metrics=()))
    weights, totals = learner.initial().tobytes(), tuple(learner.setup())
    assert len(Trainer(learner)(Train(1, "evaluate", weights, totals)).sums) == 4


def test_a_federation_of_three_classes_that_adds_up_no_bins_is_joined_as_it_is(tmp_path: Path) -> None:
    founder = founder_learner(labelled(tmp_path, 3, "{}"))
    older = tuple(name for name in founder.final_metrics if not tells_areas([name]))
    assert len(founder.final_metrics) - len(older) == 18
    genesis = make_genesis(
        model=founder.descriptor,
        shapes=founder.shapes,
        metrics=founder.metrics,
        final_metrics=older,
        setup_sums=len(founder.setup()),
    )
    learner = member_learner(Settings(data=str(tmp_path / "labels.csv")), genesis)
    assert learner.final_metrics == older
    sums = Trainer(learner)(Train(1, "evaluate", learner.initial().tobytes(), tuple(learner.setup()))).sums
    assert len(sums) == len(("evaluated", "loss", *genesis.metrics, *older))


def test_other_final_metrics_than_the_federations_are_refused(genesis: Genesis) -> None:
    with pytest.raises(ModelMismatch, match="differ in their final metrics: the federation's is .'kappa'"):
        member_learner(Settings(data="data.csv"), msgspec.structs.replace(genesis, final_metrics=("kappa",)))


def labelled(tmp_path: Path, labels: int, label: str = "{}.5", rows: int = 400) -> Settings:
    text = "a,y\n" + "".join(f"{row},{label.format(row % labels)}\n" for row in range(rows))
    (tmp_path / "labels.csv").write_text(text)
    return Settings(data=str(tmp_path / "labels.csv"), target="y", model="logistic")


def test_a_numeric_target_is_not_published_as_classes_by_mistake(tmp_path: Path) -> None:
    told = r"'y' has 21 different values in 400 rows: for numbers take --model linear; .* give --classes"
    with pytest.raises(DataProblem, match=told):
        founder_learner(labelled(tmp_path, 21))
    with pytest.raises(DataProblem, match="80 different values in 80 rows"):
        founder_learner(labelled(tmp_path, 80, "{}", 80))
    with pytest.raises(DataProblem, match="holds 101 different values"):
        founder_learner(labelled(tmp_path, 101, "city {}"))
    assert published_classes(founder_learner(labelled(tmp_path, 20))) is None
    named = labelled(tmp_path, 200).with_given({"classes": tuple(f"{number}.5" for number in range(200))})
    assert len(founder_learner(named).descriptor) > 200


def test_a_founder_is_told_of_many_classes_as_of_other_events(tmp_path: Path) -> None:
    settings = labelled(tmp_path, 30, "city {}").with_given({"name": "founder"})
    events: list[tuple[str, str]] = []
    reporter: Any = SimpleNamespace(event=lambda kind, text, facts: events.append((kind, text)))
    with Store.open(tmp_path) as store:
        session = Session(Home(tmp_path), settings, identity(0), store, reporter, answer)
        trio.run(session.way_in.remember)
    assert events[0] == (
        "classes",
        "all members, and everybody that can connect to a member, can read the 30 classes of 'y' in the genesis",
    )


def test_what_was_read_of_a_table_is_summed_up(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{row},yes,{row % 2}\n" for row in range(20)) + "999,no,1\n")
    (tmp_path / "n.csv").write_text("place,a,y\n" + "".join(f"{row},{row % 7},{row * 0.7}\n" for row in range(20)))
    numbered = founder_learner(Settings(data=str(tmp_path / "n.csv"), target="y"))
    assert (told_table(numbered) or "").endswith("column 'place' numbers the rows; to leave it out: --columns a")
    settings = Settings(data=str(tmp_path / "t.csv"), target="y", model="linear")
    table, target, outlier = (told_table(founder_learner(settings)) or "").splitlines()
    assert table == (
        "t.csv: 21 rows, 17 to train on and 4 to test; 2 inputs (a, b); target 'y', a number from 0 to 1; model linear"
    )
    assert target.startswith("t.csv: the target 'y' holds the values 0 and 1 only; a founder that wants to predict a")
    assert outlier.startswith("t.csv, line 22, column 'a': 999 is 172 standard deviations from the mean of the other")


def test_a_founder_s_id_is_refused_and_other_numbers_that_are_all_different_are_told(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("id,a,y\n" + "".join(f"{7 * row},{row % 7},{row * 0.7}\n" for row in range(100)))
    settings = Settings(data=str(path), target="y")
    with pytest.raises(DataProblem, match="column 'id': it looks like an id: .* leave the column out: --ignore id"):
        founder_learner(settings)
    assert founder_learner(settings.with_given({"ignore": ("id",)})).shapes == ((1, 1), (1,))
    told = told_table(founder_learner(settings.with_given({"columns": ("id", "a")}))) or ""
    assert "column 'id' holds another whole number in each row: an id? To leave it out: --columns a" in told


def test_what_a_founder_says_of_its_columns_goes_into_the_description(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,y\n" + "".join(f"{row % 3},{row or ''},{'xz'[row % 2]},{row * 0.7}\n" for row in range(20)))
    settings = Settings(data=str(path), target="y", levels=("a", "c = z , x,w"), gaps="b")
    fields = json.loads(founder_learner(settings).descriptor)
    assert fields["schema"] == {"gaps": ["b"], "levels": {"a": ["0", "1", "2"], "c": ["w", "x", "z"]}}
    everywhere = founder_learner(settings.with_given({"gaps": ""}))
    assert json.loads(everywhere.descriptor)["schema"]["gaps"] is True
    genesis = make_genesis(model=everywhere.descriptor, shapes=everywhere.shapes, setup_sums=len(everywhere.setup()))
    member = member_learner(Settings(data=str(path), ignore=()), genesis)
    assert member.descriptor == everywhere.descriptor


def test_what_a_founder_says_of_its_classes_goes_into_the_description(tmp_path: Path) -> None:
    settings = labelled(tmp_path, 2, "{}").with_given({"class_weights": ("1.0=7.5",)})
    founder = founder_learner(settings)
    assert json.loads(founder.descriptor)["class_weights"] == [1.0, 7.5]
    genesis = make_genesis(
        model=founder.descriptor,
        shapes=founder.shapes,
        metrics=founder.metrics,
        final_metrics=founder.final_metrics,
        setup_sums=len(founder.setup()),
    )
    member = member_learner(Settings(data=settings.data), genesis)
    assert member.app.training.class_weights == (1.0, 7.5)
    with pytest.raises(DataProblem, match="--class-weights 1=2,1.0=3: name each class once"):
        founder_learner(settings.with_given({"class_weights": ("1=2", "1.0=3")}))


def test_columns_that_are_the_same_everywhere_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "one.csv").write_text("a,b,y\n" + "".join(f"7,{row},{row}\n" for row in range(9)))
    learner = founder_learner(Settings(data=str(tmp_path / "one.csv"), target="y"))
    trainer = Trainer(learner)
    for round_ in (1, 2):
        trainer(Train(round_, "train", learner.initial().tobytes(), tuple(learner.setup())))
    assert caplog.text.count("ignored, because they have the same value in all rows of all peers: 'a'") == 1
    Trainer(learner, tells_oddities=False)(Train(3, "train", learner.initial().tobytes(), tuple(learner.setup())))
    assert caplog.text.count("ignored, because they have the same value in all rows of all peers: 'a'") == 1, (
        "not again by a later run"
    )


class Large:
    """An app whose numbers are beyond all sums."""

    metrics = ("cost",)

    def __init__(self, loss: float = 0.0, cost: float = 0.0, sums: tuple[float, ...] = ()) -> None:
        self.loss, self.cost, self.sums = loss, cost, sums

    def initial(self) -> list[Any]:
        return [np.zeros(3)]

    def fit(self, weights: Any, round: int) -> tuple[Any, int, dict[str, float]]:
        return weights, 10, {}

    def evaluate(self, weights: Any) -> tuple[float, int, dict[str, float]]:
        return self.loss, 10, {"cost": self.cost}

    def setup(self) -> tuple[float, ...]:
        return self.sums


@pytest.mark.parametrize(
    ("app", "kind", "told"),
    [
        (
            Large(loss=1e300),
            "train",
            "loss over 10 examples adds up to 1e+301, and a secure sum holds less than 4.8e+24",
        ),
        (Large(cost=-1e24), "evaluate", "cost over 10 examples adds up to -1e+25, and a secure sum holds less than"),
        (Large(sums=(1.0, 1e30)), "setup", "setup sum 1 adds up to 1e+30, and a secure sum holds less than"),
    ],
)
def test_a_number_that_no_secure_sum_holds_is_named_to_the_operator_alone(
    app: Large, kind: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AppError) as raised:
        Trainer(Learner(app))(Train(1, kind, bytes(12), None))
    assert told in caplog.text
    what = told.split(" over ")[0].split(" adds ")[0]
    assert str(raised.value) == f"{what} adds up to too much: a secure sum holds less than 4.8e+24"


def test_what_a_table_says_when_it_sits_out_holds_no_number_of_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All members are told it: of a model that a liar chose, the loss over the one test row tells what is in it."""
    (tmp_path / "one.csv").write_text("a,y\n" + "".join(f"{n},{n * 10**10}\n" for n in (1, 7, 2, 8, 3)))
    learner = founder_learner(Settings(data=str(tmp_path / "one.csv"), target="y", model="linear"))
    chosen = np.full_like(learner.initial(), 2.0**16)
    with pytest.raises(AppError) as raised:
        Trainer(learner)(Train(1, "train", chosen.tobytes(), tuple(learner.setup())))
    assert str(raised.value) == "loss adds up to too much: a secure sum holds less than 4.8e+24"
    assert "loss over 1 examples adds up to " in caplog.text, "the operator is told"


def test_a_lack_of_memory_tells_the_others_no_number_of_rows(
    genesis: Genesis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fit(*arguments: object) -> None:
        raise MemoryError("Unable to allocate 9.42 KiB for an array with shape (1234, 5)")

    learner = member_learner(Settings(data="data.csv"), genesis)
    monkeypatch.setattr(TableApp, "fit", fit)
    with pytest.raises(AppError, match=r"^data.csv.fit\(\) raised MemoryError$"):
        learner.fit(learner.initial(), 1)
    assert "shape (1234, 5)" in caplog.text, "the operator is told"


class Leaping:
    """An app whose second array moves by more than any clip."""

    def initial(self) -> list[Any]:
        return [np.zeros(3), np.zeros((2, 2))]

    def fit(self, weights: Any, round: int) -> tuple[Any, int, dict[str, float]]:
        return [weights[0] + 1, weights[1] + [[0, 9], [-50, 1]]], 10, {}

    def evaluate(self, weights: Any) -> tuple[float, int, dict[str, float]]:
        return 0.0, 10, {}


def test_advice_on_clipping_names_the_arrays_and_what_an_app_can_change() -> None:
    trainer = Trainer(Learner(Leaping(), "far:App"), clip=4.0)
    trainer(Train(1, "train", bytes(28), None))
    assert trainer.clip_advice() == (
        "array_1: 2 of 4, up to 50; take smaller steps in far:App.fit(), or train numbers of another scale;"
        " only a founder can choose a larger --clip than 4"
    )


def test_advice_on_an_update_that_is_too_long_names_the_steps() -> None:
    told = Trainer(Learner(Leaping(), "m:app")).clip_advice()
    assert told == "take smaller steps in m:app.fit(), if this is told in many rounds"


def test_advice_on_clipping_of_a_table_names_its_options(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{row},{row}\n" for row in range(40)))
    learner = founder_learner(Settings(data=str(tmp_path / "t.csv"), target="y"))
    assert (
        Trainer(learner).clip_advice()
        == "a federation founded with a smaller --learning-rate or fewer --steps avoids that"
    )


# Models that were made to tell of single rows


def test_a_founder_does_not_choose_the_weights_that_a_table_begins_with(genesis: Genesis) -> None:
    learner = member_learner(Settings(data="data.csv"), genesis)
    honest = digest_of(learner.initial().astype("<f4").tobytes())
    check_initial_weights(learner, msgspec.structs.replace(genesis, weights_hash=honest))
    chosen = learner.initial()
    chosen[-1] = 2**30
    crooked = msgspec.structs.replace(genesis, weights_hash=digest_of(chosen.astype("<f4").tobytes()))
    with pytest.raises(ModelMismatch, match="initial weights .* are not those that follow from its task"):
        check_initial_weights(learner, crooked)
    # Its members have compared them with the ledger before, and an own app's are its founder's.
    check_initial_weights(learner, msgspec.structs.replace(crooked, continued=Continued(head=bytes(32))))


@pytest.mark.parametrize("kind", ["train", "evaluate"])
@pytest.mark.parametrize("weight", [2.0**17, -(2.0**30), math.nan, math.inf])
def test_a_model_that_no_training_reaches_is_neither_trained_nor_measured(
    genesis: Genesis, kind: Any, weight: float
) -> None:
    learner = member_learner(Settings(data="data.csv"), genesis)
    weights = learner.initial()
    weights[-1] = weight
    with pytest.raises(
        AppError, match="the model has a weight of .*, and training on standardised columns never reaches more"
    ):
        Trainer(learner)(Train(1, kind, weights.tobytes(), tuple(learner.setup())))


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_model_with_a_negative_zero_is_neither_trained_nor_measured(genesis: Genesis, kind: Any) -> None:
    """The first sum makes it positive: one model, but two hashes, and so two sums on it over different members."""
    learner = member_learner(Settings(data="data.csv"), genesis)
    weights = learner.initial()
    weights[-1] = -0.0
    with pytest.raises(AppError, match="a negative zero: its founder made it so"):
        Trainer(learner)(Train(1, kind, weights.tobytes(), tuple(learner.setup())))


def test_nobody_founds_with_a_negative_zero(tmp_path: Path) -> None:
    learner = Learner(Options(width=2), "app")
    learner._initial[:] = -0.0
    _, model = found(Settings(app="app", name="peer", min_peers=3), identity(0), learner, 0)
    assert model.weights == bytes(8)
    assert model.weights_hash != digest_of(learner.initial().tobytes())


def test_a_model_of_columns_that_are_all_the_same_is_not_measured(tmp_path: Path) -> None:
    """It says the same of all rows, and so its loss would count the rows of each class."""
    (tmp_path / "same.csv").write_text("a,y\n" + "1,no\n1,yes\n" * 10)
    learner = founder_learner(Settings(data=str(tmp_path / "same.csv"), target="y", model="logistic"))
    contribution = Trainer(learner)(Train(1, "train", learner.initial().tobytes(), tuple(learner.setup())))
    assert set(contribution.sums) == {0.0}


class Options:
    """An app that says which options it has."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def describe(self) -> str:
        return json.dumps({"app": "Options", **self.options})

    def initial(self) -> list[np.ndarray]:
        return [np.zeros(int(self.options.get("width", 1)))]  # type: ignore[call-overload]

    def fit(self, weights: list[np.ndarray], round: int) -> tuple[list[np.ndarray], int, dict[str, float]]:
        return weights, 1, {}

    def evaluate(self, weights: list[np.ndarray]) -> tuple[float, int, dict[str, float]]:
        return 0.0, 1, {}


def test_an_app_with_other_options_is_refused_by_their_names(genesis: Genesis) -> None:
    founder = Learner(Options(rate=0.1, layers={"hidden": 8, "kind": "tanh"}, width=3))
    agreed = msgspec.structs.replace(
        genesis, model=founder.descriptor, shapes=founder.shapes, metrics=(), final_metrics=(), setup_sums=0
    )
    check_model(founder, agreed)
    other = Learner(Options(rate=0.1, layers={"hidden": 9}, width=4))
    hidden = "layers.hidden: the federation's is 8, yours is 9"
    kind = 'layers.kind: the federation\'s is "tanh", yours is missing'
    with pytest.raises(
        ModelMismatch, match=f"the apps differ in {hidden}; {kind}; width: the federation's is 3, yours"
    ):
        check_model(other, agreed)


def test_of_many_options_that_differ_the_first_three_are_shown(genesis: Genesis) -> None:
    founder = Learner(Options(**{f"option_{number:02}": number for number in range(18)}))
    agreed = msgspec.structs.replace(
        genesis, model=founder.descriptor, shapes=founder.shapes, metrics=(), final_metrics=(), setup_sums=0
    )
    with pytest.raises(ModelMismatch) as told:
        check_model(Learner(Options()), agreed)
    text = str(told.value)
    assert "option_02: the federation's is 2, yours is missing; and 15 more" in text
    assert "option_03" not in text


FLOWER = '{"app":"FlowerApp","project":"tumours 1.0.0","version":1}'
WEIGHTED = Task("logistic", "outcome", ("a",), classes=("alive", "died"), class_weights=(0.5, 10.0)).describe()


@pytest.mark.parametrize(
    ("description", "option"),
    [
        (None, "--data FILE.csv"),
        (WEIGHTED, "--data FILE.csv"),
        (FLOWER, "--flower DIR"),
        ('{"app":"Forest"}', "--app MODULE:OBJECT"),
    ],
)
def test_the_line_to_join_names_the_option_for_what_is_trained(
    genesis: Genesis, description: str | None, option: str
) -> None:
    joined = msgspec.structs.replace(genesis, model=description or genesis.model)
    assert join_command(joined, [], "coterie1-abc") == f"peer start --invite coterie1-abc {option}"


def test_a_table_in_a_federation_of_a_project_of_flower_is_told_what_to_type(genesis: Genesis) -> None:
    flower = msgspec.structs.replace(genesis, model=FLOWER)
    with pytest.raises(
        ModelMismatch, match="own app \\('FlowerApp'\\): give --flower DIR, and no --data; this peer was"
    ):
        member_learner(Settings(data="data.csv"), flower)


@pytest.mark.parametrize(
    ("description", "which"),
    [
        (json.dumps({"app": "Forest", "options": {"trees": list(range(200))}}), " ('Forest')"),
        (json.dumps({"kind": "app"}), ""),
        ("cats", ""),
    ],
)
def test_a_table_in_a_federation_of_an_own_app_is_told_what_to_type(
    genesis: Genesis, description: str, which: str
) -> None:
    with pytest.raises(ModelMismatch) as told:
        member_learner(Settings(data="data.csv"), msgspec.structs.replace(genesis, model=description))
    assert str(told.value) == (
        f"this federation trains its members' own app{which}: give --app module:object, and no --data; this peer was"
        " given a table"
    )
