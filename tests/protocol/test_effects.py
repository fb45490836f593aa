"""What a node may ask of its driver has bounds, however much others make it ask for."""

from signing import FEDERATION, members, signed

from coterie.protocol.effects import Effects
from coterie.protocol.events import Fetch
from coterie.protocol.limits import MAX_FETCHES_PER_MEMBER
from coterie.protocol.messages.kinds import Weights

ME, LIAR, OTHER = members(3)


def fetch(source: int, number: int) -> Fetch:
    who = (ME, LIAR, OTHER)[source]
    digest = number.to_bytes(32, "big")
    return Fetch(who.public, digest, 1_000_000, signed(who, Weights(digest)))


def test_a_bounded_number_of_blobs_of_a_member_is_fetched_at_a_time() -> None:
    out = Effects(ME, FEDERATION)
    begun = [out.fetch(fetch(1, number)) for number in range(10 * MAX_FETCHES_PER_MEMBER)]
    assert sum(begun) == MAX_FETCHES_PER_MEMBER
    assert out.fetch(fetch(2, 0)), "it keeps nobody else's waiting"
    assert len(out.flush().fetch) == MAX_FETCHES_PER_MEMBER + 1
    out.fetched(LIAR.public, fetch(1, 0).digest)
    assert out.fetch(fetch(1, MAX_FETCHES_PER_MEMBER))
    assert not out.fetch(fetch(1, MAX_FETCHES_PER_MEMBER + 1))


def test_a_blob_under_way_is_not_fetched_again_and_one_that_ended_is() -> None:
    out = Effects(ME, FEDERATION)
    assert out.fetch(fetch(1, 0))
    assert out.fetch(fetch(1, 0))
    assert len(out.flush().fetch) == 1
    out.fetched(LIAR.public, fetch(1, 0).digest)
    out.fetched(LIAR.public, fetch(1, 9).digest)
    assert out.fetch(fetch(1, 0))
    assert len(out.flush().fetch) == 1
    out.fetched(LIAR.public, fetch(1, 0).digest)
    assert out._fetching == {}
