"""What a running peer answers to those who ask it on its control socket."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from chains import Chain
from cluster import identity

from coterie.peer.exits import Exit, PeerError
from coterie.peer.requests import answer


def session(members: int, number: int) -> Any:
    """What there is of a session for who asks to leave; the driver must not be reached."""
    return SimpleNamespace(
        driver=object(), node=SimpleNamespace(state=Chain(members, min_peers=3).state), identity=identity(number)
    )


@pytest.mark.parametrize(
    ("members", "number", "told"), [(1, 0, "this peer is the only member"), (3, 9, "no member yet")]
)
def test_who_has_nobody_to_leave_is_told_so_at_once(members: int, number: int, told: str) -> None:
    with pytest.raises(PeerError, match=f"{told}.*peer stop") as caught:
        trio.run(answer, session(members, number), {"do": "leave"})
    assert caught.value.code is Exit.FEDERATION
