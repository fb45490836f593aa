"""Real peers that find each other agree on one model, and can all prove it."""

import pytest
from harness import Federation, assert_finished

pytestmark = pytest.mark.processes


def test_five_peers_agree_on_a_model(federation: Federation) -> None:
    founder = federation.found("--rounds", "3", "--min-peers", "5")
    federation.grow(5)
    assert_finished(federation)
    assert founder.ask("ledger", "verify")["trained"] == 3
    assert founder.ask("status")["loss"] < 0.1
