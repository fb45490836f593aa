"""The rate limiter, on a clock of the test's."""

from hypothesis import given
from hypothesis import strategies as st

from coterie.peer.network.limits.rate_limit import TokenBucket


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_debts_are_waited_for() -> None:
    bucket = TokenBucket(rate=2, burst=1)
    assert [bucket.owe(0.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
    assert bucket.owe(100.0) == 0.0


@given(st.lists(st.floats(0, 1), max_size=200))
def test_over_any_stretch_no_more_pass_than_burst_and_rate_allow(pauses: list[float]) -> None:
    bucket = TokenBucket(rate=3, burst=5)
    now = passed = 0.0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)
    assert passed <= 5 + 3 * now + 1e-6
