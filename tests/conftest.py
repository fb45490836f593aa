"""Settings that all tests share."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from coterie.protocol.ledger import state

FEDERATIONS = ("tests/federation/", "tests/peer/network/test_frozen.py")
"""What starts real processes, the marker `processes`; each federation uses all cores at times."""

TOGETHER = ("tests/topology/test_stories.py", "tests/test_site.py")
"""Modules whose tests share something that takes long to make; each stays on one worker."""

# Nothing here is timed: a loaded machine must not fail a test. The default run is the same every time;
# `make soak` draws new examples, many more of them.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile(
    "soak",
    deadline=None,
    derandomize=False,
    max_examples=20_000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")

# A shell starts what runs in the background deaf to Ctrl-C, and so would be the processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Whole federations run one after the other on one worker, from the start; the others run the rest."""
    from xdist.scheduler import LoadScopeScheduling

    class FederationsTogether(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(FEDERATIONS):
                return "federations"
            return nodeid.partition("::")[0] if nodeid.startswith(TOGETHER) else nodeid

    return FederationsTogether(config, log)


@pytest.fixture(autouse=True)
def _no_block_was_applied_before() -> Iterator[None]:
    """What a deliberately weakened build let pass in one test must not be remembered in the next."""
    state.apply.cache_clear()
    yield
    state.apply.cache_clear()
