"""The cost of the network by itself: two processes on loopback, then a mesh of many peers in one process.

``python benchmarks/network.py [--megabytes 64] [--peers 16]`` prints the throughput of pulled blobs, also for each CPU
second of either side; the round trip of a small frame on an idle link and during a transfer; and the cost of connecting
a full mesh.
"""

import argparse
import hashlib
import resource
import statistics
import subprocess
import sys
import time

import trio

from coterie.crypto.identity.identity import Identity
from coterie.peer.network.link_events import Frame
from coterie.peer.network.network import Network
from coterie.protocol.messages.encoding import digest_of

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]
PULLS = 4


def make_network(number: int, *bootstrap: str) -> Network:
    """Return a network that takes everybody for a member."""
    identity = Identity.from_seed(hashlib.sha256(b"benchmark %d" % number).digest())
    return Network(identity, LOOPBACK, allow=lambda _: True, bootstrap=bootstrap)


async def serve(megabytes: int) -> None:
    """Be the other process: offer a blob, and echo frames; a frame "cpu" is answered with our CPU seconds."""
    network = make_network(0)
    blob = bytes(megabytes * 1_000_000)
    network.offer(digest_of(blob), blob)
    async with trio.open_nursery() as nursery:
        print((await nursery.start(network.run))[0], flush=True)
        async for event in network.inbound:
            if isinstance(event, Frame):
                answer = b"%f" % time.process_time() if event.envelope == b"cpu" else event.envelope
                network.send(event.member, answer)


async def ask(network: Network, other: bytes, envelope: bytes) -> bytes:
    """Send a frame and wait for the answer."""
    network.send(other, envelope)
    async for event in network.inbound:
        if isinstance(event, Frame):
            return event.envelope
    raise RuntimeError("the network ended")


async def measure_link(address: str, megabytes: int) -> None:
    """Print throughput and round trips of one link."""
    network = make_network(1, address)
    blob = bytes(megabytes * 1_000_000)
    digest = digest_of(blob)
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        while not network.connected():
            await network.inbound.receive()
        (other,) = network.connected()
        await network.pull(other, digest, len(blob))

        theirs, ours, began = float(await ask(network, other, b"cpu")), time.process_time(), time.perf_counter()
        for _ in range(PULLS):
            await network.pull(other, digest, len(blob))
        seconds, ours = time.perf_counter() - began, time.process_time() - ours
        theirs = float(await ask(network, other, b"cpu")) - theirs
        moved = PULLS * megabytes
        print(f"pull {PULLS} x {megabytes} MB          {moved / seconds:8.0f} MB/s")
        print(f"  sender                 {moved / theirs:8.0f} MB per core-second")
        print(f"  receiver, digest and all{moved / ours:7.0f} MB per core-second")

        idle = await round_trips(network, other, 200)
        print(f"round trip of 200 bytes  {1e3 * statistics.median(idle):8.2f} ms, worst {1e3 * max(idle):.1f} ms")
        with trio.CancelScope() as scope:
            nursery.start_soon(pull_until, scope, network, other, digest, len(blob))
            busy = await round_trips(network, other, 200)
            scope.cancel()
        print(f"  during a transfer      {1e3 * statistics.median(busy):8.2f} ms, worst {1e3 * max(busy):.1f} ms")
        nursery.cancel_scope.cancel()


async def pull_until(scope: trio.CancelScope, network: Network, other: bytes, digest: bytes, size: int) -> None:
    """Keep the link busy with pulls."""
    while not scope.cancel_called:
        await network.pull(other, digest, size)


async def round_trips(network: Network, other: bytes, count: int) -> list[float]:
    """Return the seconds of each round trip."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        await ask(network, other, bytes(200))
        seconds.append(time.perf_counter() - began)
    return seconds


async def measure_mesh(peers: int) -> None:
    """Connect every peer to every other one, which at first know one address only; print the cost."""
    began, cpu = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        networks: list[Network] = []
        bootstrap: list[str] = []
        for number in range(peers):
            network = make_network(number, *bootstrap)
            addresses = await nursery.start(network.run)
            bootstrap = bootstrap or addresses[:1]
            networks.append(network)
        async with trio.open_nursery() as waiting:
            for network in networks:
                waiting.start_soon(until_connected, network, peers - 1)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        nursery.cancel_scope.cancel()
    links = peers * (peers - 1) // 2
    print(f"full mesh of {peers} peers: {seconds:.1f} s, {1e3 * cpu / links:.1f} ms CPU a link, both sides")


async def until_connected(network: Network, count: int) -> None:
    """Wait until a network has so many links."""
    while len(network.connected()) < count:
        await network.inbound.receive()


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--peers", type=int, default=16)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        trio.run(serve, options.megabytes)
        return
    command = [sys.executable, __file__, "--serve", "--megabytes", str(options.megabytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            trio.run(measure_link, other.stdout.readline().strip(), options.megabytes)
        finally:
            other.kill()
    trio.run(measure_mesh, options.peers)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
