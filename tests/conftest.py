"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

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
