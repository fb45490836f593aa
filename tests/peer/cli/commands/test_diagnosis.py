"""`peer doctor` gives the same verdict of the same finding, whether the peer runs or not, and names who is missing."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import msgspec
import pytest
import trio
from members import identity

from coterie.peer.cli.commands import diagnosis
from coterie.peer.cli.commands.diagnosis import Finding, examine
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Reader, Store
from coterie.peer.network.transport.addresses import Address, sign_record
from coterie.peer.network.transport.host import Host
from coterie.peer.network.transport.knocks import MULTISTREAM
from coterie.peer.reporting.quorum_watch import shortage
from coterie.peer.reporting.status import replay


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """One port for each of four members, of which only the first one's, this peer's own, is listened on."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        held[0].listen()
        yield [one.getsockname()[1] for one in held]


@contextmanager
def speaking(words: bytes) -> Iterator[int]:
    """A server that says these words to each caller, and waits for the end of the call; its port."""

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                call, _ = listening.accept()
                with call, suppress(OSError):
                    call.sendall(words)
                    while words and call.recv(64):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def know(home: Home, ports: list[int]) -> None:
    """Give a home the address book of members at these ports."""
    book = [
        sign_record(identity(number), [Address(f"/ip4/127.0.0.1/tcp/{port}")], 1).encoded
        for number, port in enumerate(ports)
    ]
    with Store.open(home.folder) as store:
        store.keep("addresses", msgspec.msgpack.encode(book))
        store.keep("settings", Settings(name="peer 0").encode())


def run(home: Home, monkeypatch: pytest.MonkeyPatch, linked: list[bytes]) -> None:
    """Have the home's peer run, with these links."""
    with Reader.open(home.folder) as reader:
        state = replay(reader)
    assert state is not None
    stalled = shortage(state, identity(0).public, linked, home)
    monkeypatch.setattr(Home, "running_pid", lambda home: 1)
    monkeypatch.setattr(diagnosis, "ask", lambda path, request: {"status": {"stalled": stalled}})


def found(home: Home, check: str) -> list[Finding]:
    return [finding for finding in examine(home, (), None) if finding.check == check]


def test_a_stalled_peer_is_found_out_running_or_not(
    early_home: Home, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    know(early_home, ports)
    stopped = [found(early_home, check) for check in ("reachability", "agreement")]
    run(early_home, monkeypatch, [])
    running = [found(early_home, check) for check in ("reachability", "agreement")]
    assert running == stopped
    reach, (agreement,) = running
    assert [finding.ok for finding in reach] == [False] * 3, "its own address is not one of them"
    assert not agreement.ok
    assert "nothing can be decided" in agreement.found
    for name in ("peer 1", "peer 2", "peer 3"):
        assert name in agreement.found


def test_one_member_that_answers_excuses_the_others_only_where_it_is_enough(
    early_home: Home, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for answering, is_enough in ((1, False), (2, True)):
        with ExitStack() as stack:
            up = [stack.enter_context(speaking(MULTISTREAM)) for _ in range(answering)]
            know(early_home, [ports[0], *up, *ports[1 + answering :]])
            with monkeypatch.context() as patch:
                stopped = found(early_home, "reachability") + found(early_home, "agreement")
                run(early_home, patch, [identity(number).public for number in range(1, 1 + answering)])
                assert found(early_home, "reachability") + found(early_home, "agreement") == stopped
        *reach, agreement = stopped
        assert agreement.ok == is_enough
        assert [finding.ok for finding in reach] == [True] * answering + [is_enough] * (3 - answering)
        refused = reach[-1].found
        assert ("another address answers, which is enough" in refused) == is_enough


def test_once_the_training_is_finished_nothing_has_to_be_decided(old_home: Home, ports: list[int]) -> None:
    know(old_home, ports)
    assert found(old_home, "agreement") == []


def test_once_the_training_is_finished_nobody_has_to_be_reachable(old_home: Home, ports: list[int]) -> None:
    know(old_home, ports)
    *members, summary = found(old_home, "reachability")
    assert len(members) == 3
    for one in members:
        assert (one.ok, one.advice) == (True, "")
        assert one.found.endswith(" (the training is finished)")
    assert (summary.ok, summary.found) == (True, "the training is finished, so nobody has to be reachable")


def test_the_room_that_is_free_and_that_is_needed_are_told_apart(old_home: Home) -> None:
    told = next(one for one in examine(old_home, (), None) if one.check == "disk")
    assert re.fullmatch(r"[\d.]+ GB free; a peer may need [\d.]+ GB", told.found)


def verdicts(home: Home) -> list[tuple[bool, str]]:
    """Of each address, whether it is well, and what is told of it after the address itself."""
    return [(one.ok, one.found.partition(" (")[2]) for one in found(home, "reachability")]


def test_only_a_peer_that_speaks_is_reached(
    early_home: Home, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "CONNECT_SECONDS", 0.5)
    with ExitStack() as stack:
        # Frozen: the system takes the call, and nobody ever says a word.
        frozen = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        other, rude = (stack.enter_context(speaking(words)) for words in (b"SSH-2.0-OpenSSH_9.2p1\r\n", b""))
        know(early_home, [ports[0], frozen, other, rude])
        assert verdicts(early_home) == [
            (False, "peer 1): takes the call and says nothing for 0.5 s: the peer there is frozen or overloaded"),
            (False, "peer 2): something answers that is no peer"),
            (False, "peer 3): hangs up at once: no peer, or one that is flooded"),
        ]


def test_a_peer_answers_the_call(early_home: Home, ports: list[int]) -> None:
    async def run() -> list[tuple[bool, str]]:
        host = Host(identity(1), lambda connection: True, lambda connection: None, [])
        async with host.run(["/ip4/127.0.0.1/tcp/0"]):
            know(early_home, [ports[0], int(host.listening()[0].split("/")[4])])
            return await trio.to_thread.run_sync(verdicts, early_home)

    assert trio.run(run) == [(True, "peer 1): answers")]


def test_a_running_peer_tells_since_when_a_member_is_down(
    early_home: Home, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    know(early_home, ports)
    linked: dict[str, Any] = {"connected": True, "down_seconds": None, "trouble": ""}
    rows = [
        {**linked, "id": identity(1).peer_id},
        {**linked, "id": identity(2).peer_id, "connected": False, "down_seconds": 34.6, "trouble": "refused"},
        {**linked, "id": identity(3).peer_id, "connected": False},
    ]
    monkeypatch.setattr(Home, "running_pid", lambda home: 1)
    monkeypatch.setattr(diagnosis, "ask", lambda path, request: {"status": {"stalled": None, "members": rows}})
    spared = " (another address answers, which is enough)"
    assert verdicts(early_home) == [
        (True, "peer 1): answers"),
        (True, f"peer 2): down since 35 s (refused){spared}"),
        (True, f"peer 3): the running peer has no link to it{spared}"),
    ]
