"""A caller, or a listener, that does a libp2p handshake byte by byte, with whatever payload a test wants."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.crypto.pb import crypto_pb2
from libp2p.security.noise.pb import noise_pb2
from nacl.signing import SigningKey
from noise.connection import Keypair, NoiseConnection

STATIC = bytes(range(1, 33))
HELLO = b"\x13/multistream/1.0.0\n"
NOISE = b"\x07/noise\n"


def payload(key: bytes, signature: bytes = b"x" * 64) -> bytes:
    return bytes(noise_pb2.NoiseHandshakePayload(identity_key=key, identity_sig=signature).SerializeToString())


def encoded(kind: str, data: bytes) -> bytes:
    """A public key in libp2p's encoding."""
    return bytes(crypto_pb2.PublicKey(key_type=crypto_pb2.KeyType.Value(kind), data=data).SerializeToString())


def honest(seed: bytes) -> bytes:
    """The payload of an honest peer with this seed."""
    key = SigningKey(seed)
    signature = key.sign(b"noise-libp2p-static-key:" + _state(True)[1]).signature
    return payload(encoded("Ed25519", bytes(key.verify_key)), signature)


def _state(is_initiator: bool) -> tuple[NoiseConnection, bytes]:
    state = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
    (state.set_as_initiator if is_initiator else state.set_as_responder)()
    state.set_keypair_from_private_bytes(Keypair.STATIC, STATIC)
    state.start_handshake()
    return state, state.noise_protocol.keypairs["s"].public_bytes


class Wire:
    """A socket with length-prefixed messages."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = await self.stream.receive_some()
            if not more:
                raise EOFError
            self._buffer += more
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    async def message(self) -> bytes:
        return await self.exactly(int.from_bytes(await self.exactly(2), "big"))

    async def send(self, message: bytes) -> None:
        await self.stream.send_all(len(message).to_bytes(2, "big") + message)

    async def ended(self) -> None:
        """Wait until the other side has closed."""
        try:
            while await self.stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass


@asynccontextmanager
async def caller(port: int) -> AsyncIterator[tuple[Wire, NoiseConnection]]:
    """Dial, agree on Noise, and come as far as the message in which a caller says who it is."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        wire = Wire(stream)
        await stream.send_all(HELLO + NOISE)
        assert await wire.exactly(len(HELLO + NOISE)) == HELLO + NOISE
        state, _ = _state(True)
        await wire.send(bytes(state.write_message(b"")))
        state.read_message(await wire.message())
        yield wire, state


async def answer(stream: trio.SocketStream, shown: bytes) -> None:
    """Be dialled, and show this payload."""
    wire = Wire(stream)
    async with stream:
        try:
            lines = b""
            while not lines.endswith(NOISE):
                lines += await wire.exactly(1)
            # A knock may stand between the two; a stock peer does not speak it.
            await stream.send_all(HELLO + (b"\x03na\n" if b"knock" in lines else b"") + NOISE)
            state, _ = _state(False)
            state.read_message(await wire.message())
            await wire.send(bytes(state.write_message(shown)))
            await wire.ended()
        except (EOFError, trio.BrokenResourceError):
            pass


@asynccontextmanager
async def listener(shown: bytes) -> AsyncIterator[str]:
    """A listener that shows this payload to whoever dials; gives its address."""
    async with trio.open_nursery() as nursery:

        async def handler(stream: trio.SocketStream) -> None:
            await answer(stream, shown)

        served: Any = await nursery.start(trio.serve_tcp, handler, 0)
        yield f"/ip4/127.0.0.1/tcp/{served[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()
