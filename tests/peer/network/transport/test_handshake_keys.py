"""Nobody makes this process parse a key that is no Ed25519 key: not in a handshake, nor anywhere else."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import trio
from handshaking import caller, encoded, honest, listener, payload
from libp2p.crypto import rsa, secp256k1, serialization
from libp2p.crypto.pb import crypto_pb2
from libp2p.peer import envelope
from libp2p.peer import id as peer_ids
from libp2p.records import pubkey
from libp2p.records import utils as record_utils

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.discovery.dht import Dht
from coterie.peer.network.transport import noise, wire
from coterie.peer.network.transport.handshake_keys import ForeignKey, close_parsers, public_key
from coterie.peer.network.transport.host import DialError, Host

ED25519 = bytes(Identity.from_seed(bytes(32)).public)
SLOW = b"an RSA key that would take seconds"
FOREIGN = {
    "RSA": encoded("RSA", SLOW),
    "secp256k1": encoded("Secp256k1", b"\x02" + bytes(32)),
    "ECDSA": encoded("ECDSA", SLOW),
    "short": encoded("Ed25519", ED25519)[:-1],
    "trailing bytes": encoded("Ed25519", ED25519) + b"\x18\x00",
    "fields swapped": b"\x12\x20" + ED25519 + b"\x08\x01",
    "a long form of the type": b"\x08\x81\x00\x12\x20" + ED25519,
    "empty": b"",
}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What pycryptodome's and coincurve's parsers were given."""
    seen: list[bytes] = []

    def parse(data: bytes, *_: Any, **__: Any) -> Any:
        seen.append(data)
        raise ValueError("parsed")

    monkeypatch.setattr(rsa.RSA, "import_key", parse)
    monkeypatch.setattr(rsa, "load_der_public_key", parse)
    monkeypatch.setattr(secp256k1.coincurve, "PublicKey", parse)
    monkeypatch.setattr(secp256k1.coincurve, "PrivateKey", parse)
    return seen


def as_libp2p_parses(data: bytes) -> bytes:
    key = crypto_pb2.PublicKey.FromString(data)
    rsa.RSA.import_key(key.data)
    return ED25519


@pytest.fixture
def weakened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that reads handshakes as libp2p does: 64 KiB, and a parser for whatever key there is."""
    monkeypatch.setattr(noise, "public_key", as_libp2p_parses)
    monkeypatch.setattr(noise, "MAX_MESSAGE_BYTES", 65_535)
    monkeypatch.setattr(noise, "MAX_PAYLOAD_BYTES", 65_535)
    monkeypatch.setattr(wire.Meter.__init__, "__defaults__", (64 * 1024,))


async def call(host: Host, shown: bytes) -> None:
    """Shake hands as a caller with this payload, until the host has closed the connection."""
    async with caller(int(host.listening()[0].split("/")[4])) as (line, state):
        await line.send(bytes(state.write_message(shown)))
        await line.ended()


def make_host() -> Host:
    return Host(Identity.from_seed(bytes(32)), lambda connection: True, lambda connection: None, [])


async def test_on_a_weakened_build_a_strangers_key_reaches_the_slow_parser(parsed: list[bytes], weakened: None) -> None:
    host = make_host()
    async with host.run(["/ip4/127.0.0.1/tcp/0"]):
        await call(host, payload(encoded("RSA", bytes(50_000))))
        assert parsed == [bytes(50_000)]


@pytest.mark.parametrize("name", FOREIGN)
async def test_a_callers_foreign_key_ends_the_handshake_unparsed(name: str, parsed: list[bytes]) -> None:
    host = make_host()
    async with host.run(["/ip4/127.0.0.1/tcp/0"]):
        await call(host, payload(FOREIGN[name]))
        assert parsed == []
        assert host.swarm.connections == {}


@pytest.mark.parametrize("name", FOREIGN)
async def test_the_foreign_key_of_a_peer_that_we_dial_is_not_parsed(name: str, parsed: list[bytes]) -> None:
    host = make_host()
    async with host.run([]), listener(payload(FOREIGN[name])) as address:
        with pytest.raises(DialError):
            await host.dial(address, None)
        assert parsed == []


async def test_on_a_weakened_build_a_peer_that_we_dial_reaches_the_slow_parser(
    parsed: list[bytes], weakened: None
) -> None:
    host = make_host()
    async with host.run([]), listener(payload(FOREIGN["RSA"])) as address:
        with pytest.raises(DialError):
            await host.dial(address, None)
        assert parsed == [SLOW]


async def test_the_dht_port_parses_no_foreign_key(parsed: list[bytes]) -> None:
    dht = Dht(Identity.from_seed(bytes(32)), "/ip4/127.0.0.1/tcp/0", [])
    async with trio.open_nursery() as nursery:
        address = await nursery.start(dht.run, lambda: b"", lambda: b"", lambda record: None)
        async with caller(int(address.text.split("/")[4])) as (line, state):
            await line.send(bytes(state.write_message(payload(FOREIGN["RSA"]))))
            await line.ended()
        nursery.cancel_scope.cancel()
    assert parsed == []


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(payload(encoded("Ed25519", ED25519)), id="not signed"),
        pytest.param(payload(encoded("Ed25519", ED25519), b""), id="no signature"),
        pytest.param(b"\xff" * 50, id="no protobuf"),
        pytest.param(b"", id="nothing"),
        pytest.param(honest(bytes(32)) + b"\x22\x80\x04" + bytes(512), id="longer than any honest one"),
    ],
)
async def test_whom_we_dial_cannot_make_a_dial_end_in_anything_but_a_refusal(shown: bytes) -> None:
    host = make_host()
    async with host.run([]), listener(shown) as address:
        with pytest.raises(DialError):
            await host.dial(address, None)


async def test_an_honest_caller_with_an_extension_in_its_payload_authenticates() -> None:
    host = make_host()
    async with host.run(["/ip4/127.0.0.1/tcp/0"]):
        shown = honest(bytes([5]) * 32) + b"\x22\x0e\x12\x0c/yamux/1.0.0"
        async with caller(int(host.listening()[0].split("/")[4])) as (line, state):
            await line.send(bytes(state.write_message(shown)))
            negotiation = state.encrypt(b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n")
            await line.send(negotiation)
            assert b"/multistream" in state.decrypt(await line.message())
            assert b"/yamux" in state.decrypt(await line.message())


async def test_a_handshake_message_longer_than_any_honest_one_is_not_read() -> None:
    host = make_host()
    async with host.run(["/ip4/127.0.0.1/tcp/0"]), caller(int(host.listening()[0].split("/")[4])) as (line, _):
        await line.stream.send_all((noise.MAX_MESSAGE_BYTES + 1).to_bytes(2, "big"))
        await line.ended()


READERS: dict[str, Callable[[bytes], Any]] = {
    "deserialize_public_key": serialization.deserialize_public_key,
    "deserialize_private_key": serialization.deserialize_private_key,
    "a PeerId": lambda data: peer_ids.ID(bytes((0, len(data))) + data).extract_public_key() or _nothing(),
    "a signed peer record": lambda data: envelope.pub_key_from_protobuf(
        envelope.cryto_pb.PublicKey.FromString(data),
    ),
    "a DHT key record": pubkey.unmarshal_public_key,
    "the author of a DHT record": record_utils._unmarshal_public_key,
    "RSA": lambda data: rsa.RSAPublicKey.from_bytes(data),
    "a private RSA key": lambda data: rsa.RSAPrivateKey.from_bytes(data),
    "secp256k1": lambda data: secp256k1.Secp256k1PublicKey.from_bytes(data),
    "secp256k1 in protobuf": lambda data: secp256k1.Secp256k1PublicKey.deserialize(data),
    "a private secp256k1 key": lambda data: secp256k1.Secp256k1PrivateKey.from_bytes(data),
}


def _nothing() -> Any:
    raise ForeignKey


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["RSA", "secp256k1"])
def test_nothing_in_the_process_parses_a_foreign_key(reader: str, name: str, parsed: list[bytes]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        READERS[reader](FOREIGN[name])
    assert parsed == []


def test_no_module_of_libp2p_holds_the_stock_parser() -> None:
    """Also those that imported it by name, before or after."""
    program = """
import sys
from libp2p.crypto import serialization
import libp2p.identity.update, libp2p.security.noise.messages
stock = serialization.deserialize_public_key
import coterie.peer.network.transport.hardening
import libp2p.kad_dht.kad_dht, libp2p.pubsub.validators, libp2p.security.tls.certificate
print([n for n, m in list(sys.modules.items()) if n.startswith("libp2p") and stock in vars(m).values()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_one_encoding_of_an_ed25519_key_is_taken() -> None:
    close_parsers()
    assert public_key(encoded("Ed25519", ED25519)) == ED25519
    assert serialization.deserialize_public_key(encoded("Ed25519", ED25519)).to_bytes() == ED25519
    for data in FOREIGN.values():
        with pytest.raises(ForeignKey):
            public_key(data)
