"""From the founder's options to the genesis."""

from pathlib import Path

import numpy as np
import pytest

from coterie.crypto.identity import Identity
from coterie.peer.exits import PeerError
from coterie.peer.founding import default_examples_cap, found
from coterie.peer.learning.learner import Learner
from coterie.peer.settings import Settings
from coterie.peer.training import founder_learner

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


def test_a_cap_that_no_genesis_can_carry_is_refused_by_name() -> None:
    assert default_examples_cap(2**40) == 2**40
    with pytest.raises(PeerError, match="--examples-cap"):
        cap_of(Settings(name="founder", app="module:app", examples_cap=2**41), Learner(App()))
