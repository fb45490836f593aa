"""Four peers train while strangers attack one of them at the full rate of loopback.

``python benchmarks/strangers.py [--seconds 10] [--attacks connect join]`` prints for each attack the rounds a second
before and during it, the longest pause of the victim's event loop, and how much its memory, descriptors and log grew;
then how long a member takes to come back to a peer that is being flooded from that member's own address.

The strangers share the cores with the peers, so their own work slows rounds, too. "of the rest" leaves this out: it
compares the speed with what the cores would allow that the strangers do not use themselves.
"""

import argparse
import contextlib
import json
import os
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

HERE = Path(__file__).parent
PEERS: Final = 4
STRANGERS: Final = 32
AIM_PAUSE_SECONDS: Final = 0.25
AIM_SHARE_OF_SPEED: Final = 0.5
TICKS = os.sysconf("SC_CLK_TCK")

MULTISTREAM: Final = b"\x13/multistream/1.0.0\n"
NOISE: Final = b"\x07/noise\n"
YAMUX: Final = b"\x0d/yamux/1.0.0\n"


# The attacks. Each function is what one stranger does once; it repeats it until its process is ended.


def shake_hands(port: int, payload: Callable[[bytes], bytes]) -> tuple[socket.socket, Any]:
    """Connect and send the last handshake message with a payload that is made of our Noise key."""
    from noise.connection import Keypair, NoiseConnection

    state = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
    state.set_as_initiator()
    state.set_keypair_from_private_bytes(Keypair.STATIC, secrets.token_bytes(32))
    state.start_handshake()
    shown = state.noise_protocol.keypairs["s"].public_bytes
    line = socket.create_connection(("127.0.0.1", port), timeout=5)
    try:
        line.sendall(MULTISTREAM + NOISE)
        exactly(line, len(MULTISTREAM + NOISE))
        send_message(line, bytes(state.write_message(b"")))
        state.read_message(exactly(line, int.from_bytes(exactly(line, 2), "big")))
        send_message(line, bytes(state.write_message(payload(shown))))
    except BaseException:
        line.close()
        raise
    return line, state


def exactly(line: socket.socket, count: int) -> bytes:
    """Receive so many bytes."""
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def send_message(line: socket.socket, message: bytes) -> None:
    """Send a message with its length in front."""
    line.sendall(struct.pack(">H", len(message)) + message)


def honest_payload(shown: bytes) -> bytes:
    """Return the payload that a peer with a fresh identity sends."""
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    signature = key.sign(b"noise-libp2p-static-key:" + shown).signature
    return b"\x0a\x24\x08\x01\x12\x20" + bytes(key.verify_key) + b"\x12\x40" + signature


def slow_key(bits: int = 400_000) -> bytes:
    """Return a payload with an RSA key that takes pycryptodome 13 seconds."""
    from Crypto.Util.asn1 import DerSequence
    from libp2p.crypto.pb import crypto_pb2
    from libp2p.security.noise.pb import noise_pb2

    modulus = secrets.randbits(bits) | 1 << (bits - 1) | 1
    key = crypto_pb2.PublicKey(key_type=crypto_pb2.KeyType.Value("RSA"), data=DerSequence([modulus, 3]).encode())
    return bytes(
        noise_pb2.NoiseHandshakePayload(identity_key=key.SerializeToString(), identity_sig=b"x").SerializeToString()
    )


def connect(port: int) -> None:
    """Connections that propose Noise and are made anew as soon as they are closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(MULTISTREAM + NOISE)
        while line.recv(4096):
            pass


def half_open(port: int, held: list[socket.socket]) -> None:
    """Connections that say nothing and stay."""
    held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
    if len(held) > 64:
        held.pop(0).close()


def handshake(port: int) -> None:
    """Handshakes of ever new identities, each over when the peer has checked it."""
    line, state = shake_hands(port, honest_payload)
    with line:
        send_message(line, state.encrypt(MULTISTREAM + YAMUX))
        line.recv(4096)


def frames(port: int) -> None:
    """Handshakes, then as many frames of twelve bytes as are taken: streams that are opened and reset."""
    line, state = shake_hands(port, honest_payload)
    with line:
        send_message(line, state.encrypt(MULTISTREAM + YAMUX))
        number = 1
        while True:
            opened = [struct.pack(">BBHII", 0, 1, flags, number + 2 * at, 0) for at in range(2500) for flags in (1, 8)]
            send_message(line, state.encrypt(b"".join(opened)))
            number += 5000


def rsa_key(port: int, shown: bytes) -> None:
    """Handshakes with a key that takes long to parse."""
    line, _ = shake_hands(port, lambda _: shown)
    with line:
        line.recv(4096)


def run_threads(act: Callable[[], object]) -> None:
    """Let 32 strangers do the same at once, for ever."""

    def stranger() -> None:
        while True:
            with contextlib.suppress(OSError, ConnectionError):
                act()

    for _ in range(STRANGERS):
        threading.Thread(target=stranger, daemon=True).start()
    threading.Event().wait()


async def talk(port: int, what: str) -> None:
    """Strangers that are let in, and talk: they ask to join with worthless invites, or say long names and go."""
    from coterie.crypto.identity.identity import Identity
    from coterie.peer.network import frames
    from coterie.peer.network.network import Network
    from coterie.protocol.ledger.tickets import make_invite, read_invite
    from coterie.protocol.messages.envelope import seal
    from coterie.protocol.messages.kinds import JoinRequest

    async def drain(network: Network) -> None:
        async for _ in network.inbound:
            pass

    async def stranger() -> None:
        me = Identity.from_seed(secrets.token_bytes(32))
        name = ("\x1b[2Jjoe" + "\u0301" * 20 + "X" * 64)[:64]
        network = Network(
            me, ["/ip4/127.0.0.1/tcp/0"], allow=lambda _: True, name=name, bootstrap=[f"/ip4/127.0.0.1/tcp/{port}"]
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(network.run)
            nursery.start_soon(drain, network)
            while not network.connected():
                await trio.sleep(0.01)
            (victim,) = network._links.values()
            assert victim.greeting is not None
            federation = victim.greeting.federation
            while not victim.over.is_set():
                if what == "names":
                    victim.send(frames.encode_reason(frames.Kind.REFUSED, "W\u0301" * 200))
                    await victim.over.wait()
                else:
                    inviter = Identity.from_seed(secrets.token_bytes(32))
                    invite = read_invite(make_invite(inviter, federation, secrets.token_bytes(32), 2**42, 1))
                    request = JoinRequest(name="x", model="m", ticket=invite.ticket, ticket_signature=bytes(64))
                    for _ in range(20):
                        victim.send(frames.encode_envelope(seal(me, federation, 1, 0, request), None))
                    await trio.sleep(0.2)
            nursery.cancel_scope.cancel()

    async def again() -> None:
        while True:
            with trio.move_on_after(30):
                try:
                    await stranger()
                except* Exception:
                    pass

    async with trio.open_nursery() as nursery:
        for _ in range(STRANGERS):
            nursery.start_soon(again)


def ask_dht(port: int) -> None:
    """Provider records of ever new identities."""
    line, state = shake_hands(port, honest_payload)
    with line:
        send_message(line, state.encrypt(MULTISTREAM + YAMUX))
        kad = MULTISTREAM + b"\x10/ipfs/kad/1.0.0\n"
        for number in range(8):
            key = secrets.token_bytes(34)
            message = b"\x08\x02\x12\x22" + key  # ADD_PROVIDER
            data = kad + bytes((len(message),)) + message
            stream = 2 * number + 1
            frames = struct.pack(">BBHII", 0, 1, 1, stream, 0) + struct.pack(">BBHII", 0, 0, 0, stream, len(data))
            send_message(line, state.encrypt(frames + data))
        line.recv(4096)


def nothing() -> None:
    """The arithmetic of a handshake, without a connection: the cost of strangers that only share the cores."""
    from noise.connection import Keypair, NoiseConnection

    for _ in range(4):
        state = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
        state.set_as_initiator()
        state.set_keypair_from_private_bytes(Keypair.STATIC, secrets.token_bytes(32))
        state.start_handshake()
        state.write_message(honest_payload(bytes(32)))


def attack(what: str, port: int) -> None:
    """Be 32 strangers that make one kind of attack."""
    held: list[socket.socket] = []
    match what:
        case "nothing":
            run_threads(nothing)
        case "connect":
            run_threads(lambda: connect(port))
        case "half-open":
            run_threads(lambda: half_open(port, held))
        case "handshake":
            run_threads(lambda: handshake(port))
        case "frames":
            run_threads(lambda: frames(port))
        case "rsa":
            key = slow_key()
            run_threads(lambda: rsa_key(port, key))
        case "dht":
            run_threads(lambda: ask_dht(port))
        case _:
            trio.run(talk, port, what)


ATTACKS: Final = {
    "nothing": "none, for comparison: strangers that compute as they do in a handshake, and connect to nobody",
    "connect": "connections made anew as soon as they are closed",
    "half-open": "connections that say nothing",
    "handshake": "handshakes of ever new identities",
    "frames": "links of ever new identities that open and reset streams",
    "rsa": "handshakes with an RSA key of 50 kB",
    "names": "links of ever new identities with long names and reasons",
    "join": "join requests with worthless invites",
    "dht": "provider records of ever new identities, on the DHT port",
}


# The federation.


@dataclass
class Running:
    """A peer with a watch on its event loop, and its events."""

    home: Path
    process: "subprocess.Popen[bytes]"
    events: list[dict[str, Any]] = field(default_factory=list)
    log_bytes: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        """Read its events until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            with self.changed:
                # Rounds fill the log, too, and more so when they are faster: their events are not counted.
                if event["event"] not in ROUTINE:
                    self.log_bytes += len(line)
                self.events.append(event)
                self.changed.notify_all()

    def wait(self, kind: str, after: float = 0.0) -> dict[str, Any]:
        """Wait for an event of a kind from a time on; returns it."""
        with self.changed:
            while True:
                for event in self.events:
                    if event["event"] == kind and event["time"] >= after:
                        return event
                if not self.changed.wait(60):
                    raise SystemExit(f"{self.home.name}: no {kind}; see {self.home}.stderr")

    def models(self, since: float, until: float) -> int:
        """Return how many rounds were agreed in this time."""
        with self.changed:
            return sum(event["event"] == "model" and since <= event["time"] < until for event in self.events)

    def pauses(self, since: float, until: float) -> tuple[float, float]:
        """Return the wall and CPU seconds of the longest turn of its event loop; wait for a turn that is under way."""
        while True:
            text = self.home.with_suffix(".pauses").read_text()
            lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
            if lines and lines[-1][0] >= until:
                break
            time.sleep(0.1)
        last = next(at for at, _, _ in lines if at >= until)
        inside = [(wall, cpu) for at, wall, cpu in lines if since <= at <= last]
        return max(wall for wall, _ in inside), max(cpu for _, cpu in inside)

    def size(self) -> tuple[float, int]:
        """Return its resident memory in MB, and its open descriptors."""
        folder = Path(f"/proc/{self.process.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list((folder / "fd").iterdir()))

    def cpu_seconds(self) -> float:
        """Return its user and system time so far."""
        return cpu_seconds(self.process.pid)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


ROUTINE: Final = frozenset({"round", "model", "contributors", "dealt", "view", "fetch", "overdue"})


def start(home: Path, *options: str) -> Running:
    """Start a peer."""
    command = [sys.executable, str(HERE / "watched.py"), str(home.with_suffix(".pauses")), "start"]
    command += ["--json", "--home", str(home), "--listen", "127.0.0.1:0", "--name", home.name, "--stay"]
    with home.with_suffix(".stderr").open("ab") as errors:
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=errors)
    one = Running(home, process)
    threading.Thread(target=one.follow, daemon=True).start()
    return one


@contextmanager
def federation(folder: Path) -> Iterator[list[Running]]:
    """Run four peers that train on and on; yields them."""
    running: list[Running] = []
    try:
        for number in range(PEERS):
            table = folder / f"{number}.csv"
            rows = (f"{row % 7},{row % 5},{2 * (row % 7) - row % 5}" for row in range(100))
            table.write_text("a,b,y\n" + "\n".join(rows) + "\n")
            options = ["--data", str(table)]
            if number == 0:
                options += ["--target", "y", "--rounds", "1000000", "--min-peers", str(PEERS), "--evict-after", "0"]
                options += ["--dht", "--dht-listen", "127.0.0.1:0"]
            else:
                options += ["--invite", running[0].wait("founded")["invite"]]
            running.append(start(folder / f"peer{number}", *options))
        running[0].wait("model")
        yield running
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(20)
            one.process.kill()


@contextmanager
def strangers(what: str, victim: Running) -> Iterator[int]:
    """Run strangers in a process of their own; yields its number."""
    kind, text = ("dht", "address") if what == "dht" else ("listening", "addresses")
    address = victim.wait(kind)[text]
    port = (address if isinstance(address, str) else address[0]).split("/")[4]
    process = subprocess.Popen([sys.executable, __file__, "--be", what, port], stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def rate(running: list[Running], seconds: float) -> float:
    """Return the rounds a second from now on."""
    began = time.time()
    time.sleep(seconds)
    return running[0].models(began, began + seconds) / seconds


def measure(running: list[Running], what: str, seconds: float) -> None:
    """Measure and print one attack, after a stretch of peace."""
    victim = running[0]
    peace = rate(running, seconds)
    (memory, descriptors), log, cpu = victim.size(), victim.log_bytes, victim.cpu_seconds()
    began = time.time()
    with strangers(what, victim) as pid:
        time.sleep(2)  # until it has begun
        seen, theirs = time.time(), cpu_seconds(pid)
        busiest = descriptors
        for _ in range(int(seconds / 0.5)):
            time.sleep(0.5)
            busiest = max(busiest, victim.size()[1])
        ended = time.time()
        theirs = (cpu_seconds(pid) - theirs) / (ended - seen)
        cpu = (victim.cpu_seconds() - cpu) / (ended - began)
    attacked = victim.models(seen, ended) / (ended - seen)
    wall, busy = victim.pauses(began, ended)
    time.sleep(2)  # until the last strangers are gone
    after, left = victim.size()
    log_rate = (victim.log_bytes - log) / (time.time() - began)
    share = attacked / peace if peace else 0.0
    of_rest = share / (1 - theirs / (os.cpu_count() or 1))
    print(
        f"{what:<10} {peace:>7.1f} {attacked:>7.1f} {share:>6.0%} {theirs:>6.2f} {of_rest:>6.0%}"
        f" {1000 * wall:>9.0f} {1000 * busy:>8.0f} {cpu:>6.2f}"
        f" {after - memory:>+8.1f} {busiest:>5} {left - descriptors:>+5} {log_rate:>8.0f}",
        flush=True,
    )


def measure_return(running: list[Running]) -> None:
    """Measure and print how soon a restarted member is linked while strangers flood a peer from its address."""
    victim, member = running[0], running[-1]
    seconds = []
    with strangers("connect", victim):
        time.sleep(3)
        for _ in range(3):
            member.process.terminate()
            member.process.wait(30)
            began = time.time()
            running[-1] = start(member.home)
            back = victim.wait("link-up", began)["time"]
            seconds.append(back - running[-1].wait("listening", began)["time"])
            member = running[-1]
    print(
        f"\na member that is started again on the flooded address is linked after {statistics.median(seconds):.1f} s"
        f" (at most {max(seconds):.1f} s; aim: seconds)"
    )


def report(attacks: list[str], seconds: float) -> None:
    """Measure and print a table."""
    print(f"{PEERS} peers on {os.cpu_count()} cores, {STRANGERS} strangers on the same, {seconds:g} s each")
    for what in attacks:
        print(f"  {what:<10} {ATTACKS[what]}")
    print(
        f"aims: at least {AIM_SHARE_OF_SPEED:.0%} of the rounds, no pause above {1000 * AIM_PAUSE_SECONDS:.0f} ms,"
        " memory, descriptors and log flat\n"
    )
    print("           rounds/s        of  their of the  longest pause, ms     CPU  memory  descriptors      log")
    print("attack      before  during peace    CPU   rest      wall      CPU   used   +MB    most  left     B/s")
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as folder, federation(Path(folder)) as running:
        for what in attacks:
            measure(running, what, seconds)
        measure_return(running)


def main() -> None:
    """Read the options and print the table; or be the strangers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--be", nargs=2, metavar=("ATTACK", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be:
        attack(given.be[0], int(given.be[1]))
    else:
        report(given.attacks, given.seconds)


if __name__ == "__main__":
    main()
