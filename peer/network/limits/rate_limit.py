"""A token bucket: so many events a second, and a burst of them after a pause."""


class TokenBucket:
    """Holds up to `burst` tokens and gains `rate` a second; times are seconds of any monotonic clock."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._last: float | None = None

    def _refill(self, now: float) -> None:
        if self._last is not None:
            self._tokens = min(self.burst, self._tokens + (now - self._last) * self.rate)
        self._last = now

    def has_one(self, now: float) -> bool:
        """Whether there is a token to take."""
        self._refill(now)
        return self._tokens >= 1

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        if not self.has_one(now):
            return False
        self._tokens -= 1
        return True

    def owe(self, now: float) -> float:
        """Take a token in any case; returns how many seconds to wait until it is earned."""
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)
