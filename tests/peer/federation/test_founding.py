"""From the founder's options to the genesis."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from members import make_genesis

from coterie.crypto.identity.identity import Identity
from coterie.peer.errors import PeerError
from coterie.peer.federation.founding import default_examples_cap, explain_end, explain_norm, found
from coterie.peer.home.settings import Settings, check_settings, founding_options
from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.task import Task
from coterie.peer.training.trainer import founder_learner
from coterie.protocol.ledger.genesis import Bounds, Stopping
from coterie.protocol.limits import MAX_PROVED_REFERENCE

FOUNDER = Identity.from_seed(bytes(32))
TABLE = "a,b\n" + "".join(f"{row},{2 * row}\n" for row in range(100))


class App:
    """An app that says nothing of itself but its weights."""

    def initial(self) -> list["np.ndarray[tuple[int], np.dtype[np.float32]]"]:
        return [np.zeros(2, np.float32)]


def cap_of(settings: Settings, learner: Learner) -> int:
    return found(settings, FOUNDER, learner, 0)[0].examples_ref


def test_a_member_counts_as_four_times_the_founders_training_rows_at_most_up_to_a_power_of_two(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text(TABLE)
    settings = Settings(name="founder", data=str(data), target="b")
    learner = founder_learner(settings)
    assert learner.examples == 80
    assert cap_of(settings, learner) == 512
    assert cap_of(settings.with_given({"examples_cap": 1_000}), learner) == 1_000


@pytest.mark.parametrize(("examples", "cap"), [(0, 4), (1, 4), (2, 8), (64, 256), (65, 512), (None, 1024)])
def test_the_founders_own_update_keeps_most_of_its_precision(examples: int | None, cap: int) -> None:
    assert default_examples_cap(examples) == cap


def test_an_app_may_say_how_many_examples_it_trains_on() -> None:
    app = App()
    settings = Settings(name="founder", app="module:app")
    assert cap_of(settings, Learner(app)) == 1024
    app.examples = 300  # type: ignore[attr-defined]
    assert cap_of(settings, Learner(app)) == 2048
    app.examples = np.zeros((5, 2))  # type: ignore[attr-defined]
    assert cap_of(settings, Learner(app)) == 1024, "the data themselves are no number"


def test_a_founder_chooses_rounds_by_time_that_fit_into_the_share_deadline(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text(TABLE)
    settings = Settings(name="founder", data=str(data), target="b", round_time=1800.0, share_deadline=2400.0)
    learner = founder_learner(settings)
    assert learner.round_seconds == 1800
    genesis, _ = found(settings, FOUNDER, learner, 0)
    assert genesis.round_time_ms == 1_800_000
    with pytest.raises(PeerError, match=r"round_time: 1800 s are more than .* share_deadline of 2400 s or more"):
        found(settings.with_given({"share_deadline": 2399.0}), FOUNDER, learner, 0)
    plain = settings.with_given({"round_time": 0.0})
    assert found(plain, FOUNDER, founder_learner(plain), 0)[0].round_time_ms is None


def test_a_cap_that_no_genesis_can_carry_is_refused_by_name() -> None:
    assert default_examples_cap(2**40) == 2**40
    with pytest.raises(PeerError, match="--examples-cap"):
        cap_of(Settings(name="founder", app="module:app", examples_cap=2**41), Learner(App()))


@pytest.mark.parametrize(
    ("norm", "bounds", "told"),
    [
        ("off", None, ""),
        ("auto", Bounds(quarters=4), "(with full weight 2 at first, then about twice as long as the updates)"),
        ("3", Bounds(quarters=7, adapts=False), "(with full weight 3.364)"),
    ],
)
def test_the_founder_says_what_dealings_prove(norm: str, bounds: Bounds | None, told: str) -> None:
    settings = Settings(name="founder", app="module:app", norm=norm)
    genesis = found(settings, FOUNDER, Learner(App()), 0)[0]
    assert genesis.bounds == bounds
    assert told in explain_norm(genesis)


def test_with_proofs_the_default_cap_is_one_that_can_be_proved_and_a_larger_one_is_refused() -> None:
    class Large(App):
        examples = 10**6

    settings = Settings(name="founder", app="module:app", norm="auto")
    assert found(settings, FOUNDER, Learner(Large()), 0)[0].examples_ref == MAX_PROVED_REFERENCE
    with pytest.raises(PeerError, match="full weights of up to 65536 examples"):
        found(settings.with_given({"examples_cap": 10**6}), FOUNDER, Learner(Large()), 0)


def test_plain_averaging_proves_nothing() -> None:
    settings = Settings(name="founder", app="module:app", norm="auto", scheme="plain")
    with pytest.raises(PeerError, match="dealings of plain prove nothing"):
        found(settings, FOUNDER, Learner(App()), 0)


def end_of(**given: object) -> tuple[Stopping | None, str]:
    """When training ends, for the genesis and for people."""
    settings = Settings(name="founder", app="module:app").with_given(given)
    check_settings(settings)
    genesis = found(settings, FOUNDER, Learner(App()), 0)[0]
    return genesis.stopping, explain_end(genesis)


def test_the_founder_says_when_training_ends() -> None:
    assert end_of() == (None, "training ends when it is stopped")
    assert end_of(rounds=20) == (None, "training ends after 20 rounds")
    assert end_of(rounds=20, patience=1) == (
        Stopping(patience=1),
        "training ends after 20 rounds, or before, once a round brings no loss that is smaller than the best",
    )
    stopping, told = end_of(patience=3, min_delta=0.001)
    assert stopping == Stopping(patience=3, min_delta_millionths=1000)
    assert told.endswith("once 3 rounds in a row bring no loss that is smaller than the best by more than 0.001 of it")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"min_delta": 0.1}, "--min-delta 0.1: only with --patience"),
        ({"patience": 2, "min_delta": 1e-9}, "--min-delta 1e-09: at least 0.000001, or 0"),
    ],
)
def test_an_improvement_that_no_genesis_can_carry_is_refused_by_name(given: dict[str, object], told: str) -> None:
    with pytest.raises(PeerError, match=re.escape(told)):
        end_of(**given)


def test_the_largest_part_of_the_best_loss_can_be_asked_for() -> None:
    assert end_of(patience=2, min_delta=0.9999999)[0] == Stopping(patience=2, min_delta_millionths=999_999)


def test_patience_is_the_founders_to_choose() -> None:
    assert founding_options({"patience": 3, "min_delta": 0.1}) == ["--patience", "--min-delta"]


def test_who_founds_without_an_end_is_told_what_only_an_evaluation_tells() -> None:
    model = Task("logistic", "y", ("a",), (), ("no", "yes")).describe()
    endless = make_genesis(model=model, rounds=0, final_metrics=("accuracy", "0 in 0-0.01"))
    told = explain_end(endless)
    assert told.startswith("training ends when it is stopped; accuracy, AUC, sensitivity, ")
    assert told.endswith("which there is with --rounds or --patience only")
    assert explain_end(msgspec.structs.replace(endless, rounds=3)) == "training ends after 3 rounds"
    assert explain_end(make_genesis(rounds=0)) == "training ends when it is stopped"
