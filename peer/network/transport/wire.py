"""The bytes below the multiplexer: one TCP socket, and Noise messages on it.

During the handshakes libp2p reads the socket through :class:`Meter`, a few bytes at a time; afterwards
:class:`NoiseWire` takes the socket over and moves whole batches of messages, which is where the throughput
comes from.
"""

import contextlib
from typing import Final, Protocol

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IOException

HANDSHAKE_BYTES: Final = 4 * 1024
"""What the other side may send before it is authenticated; an honest one sends some 400 bytes. libp2p itself believes
any length prefix.
"""

_RECEIVE_BYTES: Final = 256 * 1024
_LENGTH_BYTES: Final = 2
_MAX_CIPHERTEXT_BYTES: Final = 65535
_FIRST_RECEIVE_BYTES: Final = 72 * 1024
"""Enough for a message; for a peer that sends more at once a larger buffer is worth its memory."""

_NOTSENT_LOWAT_BYTES: Final = 128 * 1024


class WireError(OSError):
    """The bytes on the connection are not what the other side could honestly have sent."""


class Cipher(Protocol):
    """A Noise session after its handshake."""

    def encrypt(self, data: bytes) -> bytes:
        """One message's ciphertext."""

    def decrypt(self, data: bytes) -> bytes:
        """One message's plaintext; raises if it is not authentic."""


class Meter(ReadWriteCloser):
    """A socket as libp2p's handshakes read it: buffered, and bounded until the other side has authenticated."""

    def __init__(self, stream: trio.SocketStream, allowance_bytes: int = HANDSHAKE_BYTES) -> None:
        self.stream = stream
        self._allowance = allowance_bytes
        self._spare = b""
        self._remote: tuple[str, int] | None = None
        try:
            host, port = stream.socket.getpeername()[:2]
            self._remote = (str(host), int(port))
        except OSError:
            pass

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes; empty at the end. Raises WireError once the allowance is used up."""
        if not self._spare:
            try:
                self._spare = bytes(await self.stream.receive_some(min(_RECEIVE_BYTES, self._allowance + 1)))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise IOException(str(error)) from error
        count = len(self._spare) if n is None else min(n, len(self._spare))
        self._allowance -= count
        if self._allowance < 0:
            raise WireError("too many bytes before authentication")
        data, self._spare = self._spare[:count], self._spare[count:]
        return data

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise IOException(str(error)) from error

    async def close(self) -> None:
        """Close the socket."""
        await trio.aclose_forcefully(self.stream)

    def get_remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        return self._remote

    def take_spare(self) -> bytes:
        """What was received and not read yet; the caller has it from now on."""
        spare, self._spare = self._spare, b""
        return spare


class NoiseWire:
    """Noise transport messages (16-bit length, ciphertext) on a socket, in batches."""

    def __init__(self, meter: Meter, cipher: Cipher, plaintext: bytes) -> None:
        """`plaintext` is what the handshakes have already decrypted and not used."""
        self._socket = meter.stream.socket
        self._stream = meter.stream
        self._remote = meter.get_remote_address()
        self._cipher = cipher
        self._pending = plaintext
        spare = meter.take_spare()
        self._buffer = bytearray(max(_FIRST_RECEIVE_BYTES, len(spare)))
        self._buffer[: len(spare)] = spare
        self._view = memoryview(self._buffer)
        self._start, self._end = 0, len(spare)
        lowat = getattr(trio.socket, "TCP_NOTSENT_LOWAT", None)
        if lowat is not None:
            # trio sets 16 KiB, which makes a bulk sender wait for the socket four times a message.
            self._stream.setsockopt(trio.socket.IPPROTO_TCP, lowat, _NOTSENT_LOWAT_BYTES)

    async def receive(self) -> bytes:
        """The next message's plaintext; empty at the end. Raises WireError on a forged or cut-off message."""
        if self._pending:
            pending, self._pending = self._pending, b""
            return pending
        while True:
            held = self._end - self._start
            if held >= _LENGTH_BYTES:
                body = self._start + _LENGTH_BYTES
                length = int.from_bytes(self._view[self._start : body], "big")
                if held >= _LENGTH_BYTES + length:
                    self._start = body + length
                    plaintext = self._decrypt(bytes(self._view[body : self._start]))
                    if not plaintext:
                        raise WireError("a message with nothing in it")  # no peer has a reason to send one
                    return plaintext
            if not await self._fill():
                if held:
                    raise WireError("the connection ended inside a message")
                return b""

    def _decrypt(self, ciphertext: bytes) -> bytes:
        try:
            return self._cipher.decrypt(ciphertext)
        except Exception as error:
            raise WireError(f"a message that does not decrypt ({type(error).__name__})") from error

    async def _fill(self) -> int:
        if self._start == self._end:
            self._start = self._end = 0
        elif len(self._buffer) - self._start < _LENGTH_BYTES + _MAX_CIPHERTEXT_BYTES:
            rest = bytes(self._view[self._start : self._end])
            self._view[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        received = await self._socket.recv_into(self._view[self._end :])
        self._end += received
        if self._end == len(self._buffer) < _RECEIVE_BYTES:
            self._grow()
        return received

    def _grow(self) -> None:
        held = self._view[self._start : self._end]
        buffer = bytearray(_RECEIVE_BYTES)
        buffer[: len(held)] = held
        self._buffer, self._view = buffer, memoryview(buffer)
        self._start, self._end = 0, len(held)

    async def send(self, messages: list[bytes]) -> None:
        """Encrypt and send whole messages, as one piece."""
        parts: list[bytes] = []
        for message in messages:
            ciphertext = self._cipher.encrypt(message)
            parts += (len(ciphertext).to_bytes(_LENGTH_BYTES, "big"), ciphertext)
        await self._stream.send_all(b"".join(parts))

    async def send_eof(self) -> None:
        """Send no more; the other side sees the end of the connection after what was sent."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the socket now; a send or receive under way raises ClosedResourceError."""
        await trio.aclose_forcefully(self._stream)

    def remote_address(self) -> tuple[str, int] | None:
        """Host and port of the other end."""
        return self._remote
