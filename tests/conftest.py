"""Settings that all tests share."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from coterie.protocol import ledger

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


@pytest.fixture(autouse=True)
def _no_block_was_applied_before() -> Iterator[None]:
    """What a deliberately weakened build let pass in one test must not be remembered in the next."""
    ledger.apply.cache_clear()
    yield
    ledger.apply.cache_clear()
