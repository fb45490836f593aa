"""The control socket answers its own user, one JSON line a request, and survives everything that is sent to
it.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from coterie.peer.control import server
from coterie.peer.control.client import Json, NotRunning, ask, follow, short_path
from coterie.peer.control.server import MAX_CONNECTIONS, MAX_REQUEST_BYTES, MAX_WATCHERS, ControlServer
from coterie.peer.errors import Exit, PeerError


class Served:
    """A server in a thread of its own, as the peer is to its askers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = ControlServer(path, self._answer)
        self._ready = threading.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()
        self.thread = threading.Thread(target=trio.run, args=(self._run,))
        self.thread.start()
        assert self._ready.wait(10)

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            async with self.server.serving():
                self._ready.set()
                await trio.sleep_forever()

    async def _answer(self, request: Json) -> Json:
        if request.get("do") == "echo":
            return {"said": request["word"]}
        if request.get("do") == "divide":
            return {"result": 1 // request["by"]}
        if request.get("do") == "tell":
            self.server.tell({"event": request["word"]})
            return {}
        raise PeerError("no such request", Exit.INVITE)

    def stop(self) -> None:
        assert self._token is not None
        self._token.run_sync_soon(self._scope.cancel)
        self.thread.join(10)


@contextmanager
def serving(path: Path) -> Iterator[Served]:
    served = Served(path)
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "control.sock") as running:
        yield running


def raw(path: Path, data: bytes) -> Json:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(data)
        answer: Json = json.loads(connection.makefile("rb").readline())
        return answer


def test_a_request_gets_its_answer(served: Served) -> None:
    assert ask(served.path, {"do": "echo", "word": "schön"}) == {"ok": True, "said": "schön"}


def test_a_refusal_carries_its_reason_and_exit_code(served: Served) -> None:
    with pytest.raises(PeerError, match="no such request") as caught:
        ask(served.path, {"do": "something else"})
    assert caught.value.code is Exit.INVITE


def test_only_the_owner_may_connect(served: Served) -> None:
    assert served.path.stat().st_mode & 0o777 == 0o600


def test_where_no_peer_runs_the_asker_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no peer runs") as caught:
        ask(tmp_path / "control.sock", {"do": "echo"})
    assert caught.value.code is Exit.NOT_RUNNING


def test_the_socket_of_a_dead_peer_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning):
        ask(path, {"do": "echo"})
    with serving(path):
        assert ask(path, {"do": "echo", "word": 1})["said"] == 1
    assert not path.exists()


@pytest.mark.parametrize("garbage", [b"\n", b"nonsense\n", b"[]\n", b"\xff\xfe\n", b"[" * 60_000 + b"\n"])
def test_garbage_is_refused_and_the_server_goes_on(served: Served, garbage: bytes) -> None:
    assert raw(served.path, garbage)["ok"] is False
    assert ask(served.path, {"do": "echo", "word": 1})["said"] == 1


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"do": "divide", "by": 0}, "ZeroDivisionError"),
        ({"do": "echo"}, "KeyError"),
        ({"do": "divide", "by": []}, "Type"),
    ],
)
def test_whatever_a_request_makes_go_wrong_ends_neither_the_server_nor_its_peer(
    served: Served, request_: Json, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PeerError, match=f"not a request: {told}") as caught:
        ask(served.path, request_)
    assert caught.value.code is Exit.USAGE
    assert "a request could not be answered" in caplog.text
    assert ask(served.path, {"do": "echo", "word": 1})["said"] == 1


@contextmanager
def silent_clients(path: Path, count: int) -> Iterator[list[socket.socket]]:
    clients = [socket.socket(socket.AF_UNIX) for _ in range(count)]
    try:
        for one in clients:
            one.connect(str(path))
        yield clients
    finally:
        for one in clients:
            one.close()


def test_any_number_of_silent_clients_shut_nobody_out(served: Served) -> None:
    with silent_clients(served.path, 3 * MAX_CONNECTIONS) as clients:
        assert ask(served.path, {"do": "echo", "word": 1})["said"] == 1
        assert clients[0].recv(1) == b"", "the one that was silent for longest made room"


def test_watchers_shut_nobody_out(served: Served) -> None:
    with silent_clients(served.path, MAX_WATCHERS) as clients:
        for one in clients:
            one.sendall(b'{"do": "watch"}\n')
        while raw(served.path, b'{"do": "watch"}\n').get("ok") is not False:
            pass  # until all of them are known to watch, a further one is one of those that may
        assert ask(served.path, {"do": "echo", "word": 1})["said"] == 1


def test_a_request_that_never_comes_to_its_end_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.05)
    with silent_clients(served.path, 1) as (client,):
        client.sendall(b'{"do": ')
        assert client.recv(1) == b""


def test_a_request_without_an_end_is_cut_off(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.path))
        try:
            connection.sendall(b"x" * (MAX_REQUEST_BYTES + 8192))
            assert connection.recv(1) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert ask(served.path, {"do": "echo", "word": 1})["said"] == 1


def test_watchers_see_events_until_they_go(served: Served) -> None:
    first = follow(served.path, {"do": "watch"})
    seen: list[Json] = []
    reader = threading.Thread(target=lambda: seen.append(next(first)))
    reader.start()
    while reader.is_alive():
        ask(served.path, {"do": "tell", "word": "a"})
        reader.join(0.01)
    first.close()
    assert seen == [{"event": "a"}]
    ask(served.path, {"do": "tell", "word": "b"})


def test_a_home_deep_in_the_tree_has_a_socket_too(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 6)
    deep.mkdir(parents=True)
    with serving(deep / "control.sock") as running:
        assert ask(running.path, {"do": "echo", "word": 2})["said"] == 2


def test_a_short_path_is_used_as_it_is(tmp_path: Path) -> None:
    with short_path(Path("/tmp/x")) as text:
        assert text == "/tmp/x"
