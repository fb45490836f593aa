"""The Noise handshake of libp2p (XX, with a signed identity key), with a bound on each message of it.

Source: the libp2p specification "noise-libp2p - Secure Channel Handshake", and the Noise Protocol Framework, rev. 34.
libp2p's own takes messages of 64 KiB and hands any key in them to a parser. This one reads as much as an honest
handshake needs, and looks at the 36 bytes of the key itself. The arithmetic of one handshake at a time runs between
two turns of the event loop, so that many at once delay each other and nothing more.
"""

from typing import Final

import trio
from google.protobuf.message import DecodeError
from libp2p.abc import IRawConnection, ISecureConn, ISecureTransport
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.peer.id import ID
from libp2p.security.exceptions import HandshakeFailure
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.noise.pb import noise_pb2
from libp2p.security.secure_session import SecureSession
from noise.connection import Keypair, NoiseConnection  # type: ignore[import-untyped]

from ....crypto.identity.identity import SIGNATURE_BYTES, verify
from .handshake_keys import ForeignKey, public_key

MAX_PAYLOAD_BYTES: Final = 512
"""An honest one has 104 bytes: key and signature. libp2p's in other languages name their multiplexers too."""

MAX_MESSAGE_BYTES: Final = 96 + MAX_PAYLOAD_BYTES
"""The second message is the longest: 32 bytes, then 48 and the payload with 16 more."""

_NAME: Final = b"Noise_XX_25519_ChaChaPoly_SHA256"
_SIGNED: Final = b"noise-libp2p-static-key:"
_LENGTH_BYTES: Final = 2


class BadHandshake(HandshakeFailure):
    """What no honest peer sends in a handshake."""


class NoiseXX(ISecureTransport):
    """Handshakes of one identity."""

    def __init__(self, keys: KeyPair) -> None:
        self._keys = keys
        self._me = ID.from_pubkey(keys.public_key)
        static = create_noise_key_pair()
        self._static = static.private_key.to_bytes()
        signature = keys.private_key.sign(_SIGNED + static.public_key.to_bytes())
        payload = noise_pb2.NoiseHandshakePayload(identity_key=keys.public_key.serialize(), identity_sig=signature)
        self._payload = payload.SerializeToString()
        self._turn = trio.CapacityLimiter(1)

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """Authenticate the peer that dialled us. Raises HandshakeFailure."""
        state = self._begin(False)
        handshake = state.noise_protocol.handshake_state  # the library drops it with the last message
        await self._read(conn, state)
        await self._write(conn, state, self._payload)
        payload = await self._read(conn, state)
        member = _authenticated(payload, handshake.rs.public_bytes)
        return self._session(conn, state, ID.from_pubkey(Ed25519PublicKey.from_bytes(member)), False)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID | None) -> ISecureConn:
        """Authenticate the peer that we dialled; it must be `peer_id`, unless that is None. Raises HandshakeFailure."""
        state = self._begin(True)
        await self._write(conn, state, b"")
        payload = await self._read(conn, state)
        member = _authenticated(payload, state.noise_protocol.handshake_state.rs.public_bytes)
        peer = ID.from_pubkey(Ed25519PublicKey.from_bytes(member))
        if peer_id is not None and peer != peer_id:
            raise PeerIDMismatchesPubkey(f"wanted {peer_id}, found {peer}")
        await self._write(conn, state, self._payload)
        return self._session(conn, state, peer, True)

    def _begin(self, is_initiator: bool) -> NoiseConnection:
        state = NoiseConnection.from_name(_NAME)
        state.set_keypair_from_private_bytes(Keypair.STATIC, self._static)
        if is_initiator:
            state.set_as_initiator()
        else:
            state.set_as_responder()
        state.start_handshake()
        return state

    async def _read(self, conn: IRawConnection, state: NoiseConnection) -> bytes:
        length = int.from_bytes(await _exactly(conn, _LENGTH_BYTES), "big")
        if length > MAX_MESSAGE_BYTES:
            raise BadHandshake(f"a handshake message of {length} bytes")
        message = await _exactly(conn, length)
        async with self._turn:
            try:
                return bytes(state.read_message(message))
            except Exception as error:  # noise and cryptography have several; each is the other side's fault
                raise BadHandshake("a handshake message that does not decrypt") from error

    async def _write(self, conn: IRawConnection, state: NoiseConnection, payload: bytes) -> None:
        async with self._turn:
            message = bytes(state.write_message(payload))
        await conn.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)

    def _session(self, conn: IRawConnection, state: NoiseConnection, peer: ID, is_initiator: bool) -> SecureSession:
        return SecureSession(
            local_peer=self._me,
            local_private_key=self._keys.private_key,
            remote_peer=peer,
            remote_permanent_pubkey=self._keys.public_key,  # asked for, and never looked at
            is_initiator=is_initiator,
            conn=NoiseTransportReadWriter(conn, state),
        )


async def _exactly(conn: IRawConnection, count: int) -> bytes:
    """Read `count` bytes. Raises BadHandshake when the connection ends before; libp2p's tries a hundred times more."""
    data = b""
    while len(data) < count:
        more = await conn.read(count - len(data))
        if not more:
            raise BadHandshake("the connection ended within the handshake")
        data += more
    return data


def _authenticated(payload: bytes, static: bytes) -> bytes:
    """Return the identity key that signed the other side's Noise key. Raises BadHandshake."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadHandshake(f"a handshake payload of {len(payload)} bytes")
    try:
        said = noise_pb2.NoiseHandshakePayload.FromString(payload)
        member = public_key(said.identity_key)
    except (DecodeError, ForeignKey) as error:
        raise BadHandshake(f"no identity that we know: {error}") from error
    if len(said.identity_sig) != SIGNATURE_BYTES or not verify(member, _SIGNED + static, said.identity_sig):
        raise BadHandshake("the identity did not sign the handshake's key")
    return member
