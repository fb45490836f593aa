"""Each trap of stock libp2p 0.8.1 that we rely on being closed: open in the stock library, closed here.

A test that takes `stock` and `ours` as a parameter runs the same attack on both and states both outcomes, so it
fails when the workaround is taken out, and also when an upgrade of libp2p makes it superfluous.
"""

import contextlib
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import handshaking
import pytest
import trio
import trio.testing
from libp2p import new_host
from libp2p.crypto.ed25519 import Ed25519PrivateKey, create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.config import ConnectionConfig
from libp2p.network.connection import swarm_connection
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.tools.anyio_service import Service
from libp2p.tools.anyio_service.trio_manager import TrioManager
from multiaddr import Multiaddr
from noise.connection import NoiseConnection

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.limits import doors
from coterie.peer.network.transport import hardening, noise
from coterie.peer.network.transport.hardening import GuardedManager, UnsupportedLibp2p, check_version
from coterie.peer.network.transport.host import Connection, DialError, Host, ListenError

PROTOCOL = "/test/1"
LOOPBACK = Multiaddr("/ip4/127.0.0.1/tcp/0")
FEW = ConnectionConfig(
    max_connections=4, min_connections=0, low_watermark=0, high_watermark=4, max_connections_per_peer=9
)


class Target:
    """A host under attack, stock or ours, with what it saw."""

    def __init__(self) -> None:
        self.port = 0
        self.peer_id: ID | None = None
        self.callers: list[ID] = []

    @property
    def address(self) -> Multiaddr:
        return Multiaddr(f"/ip4/127.0.0.1/tcp/{self.port}")


async def fail(stream: Any) -> None:
    raise RuntimeError("a bug in a stream handler")


@asynccontextmanager
async def stock() -> AsyncIterator[Target]:
    """A stock host with its defaults, but room for few inbound connections so that tests are quick."""
    target = Target()
    host = new_host(key_pair=create_new_key_pair(bytes(32)), connection_config=FEW)
    host.set_stream_handler(TProtocol(PROTOCOL), fail)
    async with host.run([LOOPBACK]):
        target.port = int(host.get_transport_addrs()[0].value_for_protocol("tcp"))
        target.peer_id = host.get_id()
        target.callers = _Callers(host)
        yield target


class _Callers(list[ID]):
    def __init__(self, host: Any) -> None:
        super().__init__()
        self._host = host

    def __contains__(self, peer: object) -> bool:
        return peer in self._host.get_network().connections


@asynccontextmanager
async def ours() -> AsyncIterator[Target]:
    """Our host, with as little room for connections under way."""
    target = Target()

    def connected(connection: Connection) -> None:
        target.callers.append(connection.muxer.peer_id)
        connection.deliver = fail  # type: ignore[assignment, method-assign]

    host = Host(Identity.from_seed(bytes(32)), lambda connection: True, connected, [PROTOCOL])
    async with host.run([str(LOOPBACK)]):
        target.port = int(host.listening()[0].split("/")[4])
        target.peer_id = host.swarm.get_peer_id()
        yield target


@pytest.fixture(autouse=True)
def _few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "MAX_HALF_OPEN", 4)


@asynccontextmanager
async def caller(target: Target, seed: int = 1, **options: Any) -> AsyncIterator[Any]:
    """A stock host that speaks Noise and has connected to the target."""
    keys = options.pop("keys", None) or create_new_key_pair(bytes([seed]) * 32)
    noise = {NOISE_PROTOCOL_ID: NoiseTransport(keys, noise_privkey=_noise_key())}
    host = new_host(key_pair=keys, sec_opt=options.pop("security", noise))
    async with host.run([]):
        with trio.fail_after(5):
            await host.connect(PeerInfo(target.peer_id, [target.address]))
        yield host


@contextlib.contextmanager
def whatever_libp2p_raises() -> Iterator[None]:
    """Let a connection fail; other exceptions go on."""
    try:
        yield
    except* (BaseLibp2pError, trio.TooSlowError):
        pass


def _noise_key() -> Any:
    from libp2p.crypto.x25519 import create_new_key_pair as x25519

    return x25519().private_key


async def can_connect(target: Target, seed: int = 1) -> bool:
    """Whether an honest peer gets through."""
    connected = False
    with whatever_libp2p_raises():
        async with caller(target, seed) as host:
            # A refused connection is up for a moment on the caller's side.
            stream = await host.get_network().new_stream(target.peer_id)
            await stream.write(b"\x13/multistream/1.0.0\n")
            connected = bool(await stream.read(1))
    return connected


def both(stock_outcome: object, our_outcome: object) -> pytest.MarkDecorator:
    """Run a test against the stock host and against ours, with the outcome expected of each."""
    return pytest.mark.parametrize(
        ("open_target", "expected"),
        [pytest.param(stock, stock_outcome, id="stock"), pytest.param(ours, our_outcome, id="ours")],
    )


@both(True, False)
async def test_plaintext_lets_anybody_be_anybody(open_target: Callable[[], Any], expected: bool) -> None:
    victim = create_new_key_pair(bytes([7]) * 32).public_key

    class Liar(Ed25519PrivateKey):
        def get_public_key(self) -> Any:
            return victim

    attacker = KeyPair(Liar.new(bytes([8]) * 32), victim)
    security = {TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(attacker)}
    async with open_target() as target:
        believed = False
        with whatever_libp2p_raises():
            async with caller(target, keys=attacker, security=security):
                believed = ID.from_pubkey(victim) in target.callers
        assert believed is expected


@both(False, True)
async def test_an_exception_in_a_stream_handler_is_survived(open_target: Callable[[], Any], expected: bool) -> None:
    survived = False
    with contextlib.suppress(BaseException):
        async with open_target() as target:
            async with caller(target) as host:
                with whatever_libp2p_raises():
                    stream = await host.new_stream(target.peer_id, [TProtocol(PROTOCOL)])
                    await stream.read(1)
            survived = await can_connect(target, seed=2)
    assert survived is expected


@both(False, True)
async def test_slots_of_inbound_connections_come_back(open_target: Callable[[], Any], expected: bool) -> None:
    async with open_target() as target:
        for seed in range(1, 10):
            await can_connect(target, seed)
        assert await can_connect(target, seed=10) is expected


@both(False, True)
async def test_idle_half_open_sockets_do_not_keep_a_peer_out(open_target: Callable[[], Any], expected: bool) -> None:
    async with open_target() as target, contextlib.AsyncExitStack() as held:
        for _ in range(12):
            stream = await trio.open_tcp_stream("127.0.0.1", target.port)
            await held.enter_async_context(stream)
        assert await can_connect(target) is expected


@both(True, False)
async def test_an_unauthenticated_peer_can_make_us_take_a_megabyte(
    open_target: Callable[[], Any], expected: bool
) -> None:
    async with open_target() as target:
        stream = await trio.open_tcp_stream("127.0.0.1", target.port)
        async with stream:
            await stream.send_all(b"\x13/multistream/1.0.0\n")
            while b"multistream" not in await stream.receive_some():
                pass
            taken = True
            try:
                await stream.send_all(b"\xff\xff\xff\xff\x07")  # a length of 2 GiB
                for _ in range(16):
                    await stream.send_all(bytes(65536))
            except trio.BrokenResourceError:
                taken = False
            if taken:
                with trio.move_on_after(0.5) as patience:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await stream.receive_some()
                taken = patience.cancelled_caught
            assert taken is expected
        assert await can_connect(target) or expected


class _Service(Service):
    def __init__(self) -> None:
        self.failed = trio.Event()

    async def run(self) -> None:
        self.manager.run_task(self._fail)
        await self.manager.wait_finished()

    async def _fail(self) -> None:
        self.failed.set()
        raise RuntimeError("a bug in a background task")


@pytest.mark.parametrize(("manager", "survives"), [(TrioManager, False), (GuardedManager, True)])
async def test_an_exception_in_a_background_task_is_survived(manager: type[TrioManager], survives: bool) -> None:
    service = _Service()
    running = manager(service)

    async def run() -> None:
        with contextlib.suppress(ExceptionGroup):
            await running.run()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await service.failed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert running.is_running is survives
        nursery.cancel_scope.cancel()


async def test_a_failed_dial_can_be_repeated_at_once() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"/ip4/127.0.0.1/tcp/{held.getsockname()[1]}"
    late = Host(Identity.from_seed(bytes(32)), lambda c: True, lambda c: None, [PROTOCOL])
    eager = Host(Identity.from_seed(bytes([1]) * 32), lambda c: True, lambda c: None, [PROTOCOL])
    ordinary = new_host()
    info = PeerInfo(late.swarm.get_peer_id(), [Multiaddr(address)])
    async with eager.run([]), ordinary.run([]):
        with pytest.raises(DialError):
            await eager.dial(address, late.member)
        with pytest.raises(SwarmException):
            await ordinary.connect(info)
        async with late.run([address]):
            assert (await eager.dial(address, late.member)).member == late.member
            with pytest.raises(SwarmException, match="negative cache"):
                await ordinary.connect(info)


async def test_two_processes_do_not_share_a_port_in_silence() -> None:
    async with stock() as first:
        second = new_host()
        async with second.run([first.address]):
            assert second.get_transport_addrs(), "the stock library sees nothing wrong"
    async with ours() as target:
        second = Host(Identity.from_seed(bytes([1]) * 32), lambda c: True, lambda c: None, [])
        with pytest.raises(ListenError, match="in use by another process"):
            async with second.run([str(target.address)]):
                pass


async def test_an_abort_wakes_a_writer_that_is_stuck_and_leaves_nothing_behind() -> None:
    async with ours() as target:
        host = Host(Identity.from_seed(bytes([1]) * 32), lambda c: True, lambda c: None, [])
        async with host.run([]):
            connection = await host.dial(str(target.address), None)
            stream = await connection.muxer.open_stream()
            async with trio.open_nursery() as nursery:

                async def write() -> None:
                    with pytest.raises(MuxedStreamError):
                        await stream.write(bytes(10**7))

                nursery.start_soon(write)
                await trio.testing.wait_all_tasks_blocked()
                await connection.abort()
            assert host.swarm.connections == {}
            assert connection.closed.is_set()


async def test_stock_keeps_a_resource_manager_that_refuses_and_ours_does_not() -> None:
    assert new_host().get_network()._resource_manager is not None
    host = Host(Identity.from_seed(bytes(32)), lambda c: True, lambda c: None, [])
    assert host.swarm._resource_manager is None
    assert host.swarm._stream_semaphore is None


async def test_one_host_cannot_have_all_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HANDSHAKE_BURST", 3)
    monkeypatch.setattr(doors, "HANDSHAKES_PER_SECOND", 1e-9)
    async with ours() as target:
        assert [await can_connect(target, seed) for seed in range(1, 6)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("weakened", [True, False])
async def test_who_was_here_is_not_remembered_for_ever(weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weakened:
        monkeypatch.setattr(hardening.Swarm, "notify_disconnected", hardening.stock_swarm.Swarm.notify_disconnected)
    host = Host(Identity.from_seed(bytes(32)), lambda c: True, lambda c: None, [PROTOCOL])
    async with host.run([str(LOOPBACK)]):
        for seed in range(1, 6):
            guest = Host(Identity.from_seed(bytes([seed]) * 32), lambda c: True, lambda c: None, [PROTOCOL])
            async with guest.run([]):
                await guest.dial(host.listening()[0], host.member)
            while host.swarm.connections:
                await trio.sleep(0.01)
        assert len(host.swarm.auto_connector._recent_disconnects) == (5 if weakened else 0)
        assert len(host.swarm.peerstore.peer_ids()) == 1


@pytest.mark.parametrize("weakened", [True, False])
async def test_of_many_handshakes_one_computes_between_two_turns_of_the_others(
    weakened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    monkeypatch.setattr(doors, "MAX_HALF_OPEN", 64)

    class Counting(NoiseConnection):  # type: ignore[misc]
        def read_message(self, data: bytes) -> Any:
            log.append("handshake")
            return super().read_message(data)

        def write_message(self, payload: bytes = b"") -> Any:
            log.append("handshake")
            return super().write_message(payload)

    monkeypatch.setattr(noise, "NoiseConnection", Counting)
    host = Host(Identity.from_seed(bytes(32)), lambda c: True, lambda c: None, [PROTOCOL])
    if weakened:
        host.swarm.upgrader._noise._turn = trio.CapacityLimiter(100)
    async with host.run([str(LOOPBACK)]), trio.open_nursery() as nursery:

        async def others() -> None:
            while True:
                log.append("others")
                await trio.lowlevel.checkpoint()

        async def call() -> None:
            async with handshaking.caller(int(host.listening()[0].split("/")[4])) as (wire, state):
                await wire.send(bytes(state.write_message(b"nothing")))
                await wire.ended()

        nursery.start_soon(others)
        async with trio.open_nursery() as calls:
            for _ in range(30):
                calls.start_soon(call)
        nursery.cancel_scope.cancel()
    assert log.count("handshake") == 90
    in_a_row = max(len(list(group)) for what, group in itertools.groupby(log) if what == "handshake")
    assert (in_a_row > 2) is weakened


async def test_a_stock_peer_that_knows_of_no_knocks_is_dialled_all_the_same() -> None:
    async with stock() as target:
        host = Host(Identity.from_seed(bytes([1]) * 32), lambda c: True, lambda c: None, [])
        assert target.peer_id is not None
        member = hardening.public_key_of(target.peer_id)
        async with host.run([]):
            assert (await host.dial(str(target.address), member)).member == member


async def test_a_peer_without_an_ed25519_key_is_not_admitted() -> None:
    from libp2p.crypto.secp256k1 import create_new_key_pair as secp256k1

    asked: list[Connection] = []
    host = Host(Identity.from_seed(bytes(32)), lambda c: not asked.append(c), lambda c: None, [PROTOCOL])
    async with host.run([str(LOOPBACK)]):
        target = Target()
        target.port, target.peer_id = int(host.listening()[0].split("/")[4]), host.swarm.get_peer_id()
        keys = secp256k1()
        security = {NOISE_PROTOCOL_ID: NoiseTransport(keys, noise_privkey=_noise_key())}
        with whatever_libp2p_raises():
            async with caller(target, keys=keys, security=security) as other:
                stream = await other.get_network().new_stream(target.peer_id)
                await stream.read(1)
        assert asked == []
        assert host.swarm.connections == {}


def test_another_version_of_libp2p_is_refused_loudly() -> None:
    check_version("0.8.1")
    with pytest.raises(UnsupportedLibp2p, match=r"libp2p 0\.8\.2 is installed.*pip install libp2p==0\.8\.1"):
        check_version("0.8.2")


@pytest.mark.parametrize("quietened", [False, True])
def test_libp2p_does_not_log_to_the_root_logger(quietened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(swarm_connection, "logging", logging)
    if quietened:
        hardening.quiet()
    swarm_connection.logging.debug("routine")
    assert bool(logging.root.handlers) is not quietened


def test_our_identity_signs_for_libp2p_and_does_not_show_its_secret() -> None:
    identity = Identity.from_seed(bytes(range(32)))
    keys = hardening.key_pair(identity)
    assert keys.public_key.verify(b"message", keys.private_key.sign(b"message"))
    with pytest.raises(TypeError):
        keys.private_key.to_bytes()
    assert str(hardening.peer_of(identity.public)) == identity.peer_id
    assert hardening.public_key_of(hardening.peer_of(identity.public)) == identity.public
