"""Paillier encryption against our aims and against phe, and keys without a dealer: median CPU times on one core."""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import phe

from coterie.crypto.paillier.claims import Claim, adds_up, challenge_for, check_claim, claim_fingerprint
from coterie.crypto.paillier.encryption import CHUNK, Encrypted, Spread, add, decrypt, encrypt, encrypt_as_owner
from coterie.crypto.paillier.group import deal
from coterie.crypto.paillier.joint import Plan, joint_key
from coterie.crypto.paillier.keys import PrivateKey, PublicKey, generate
from coterie.crypto.paillier.packing import Packing
from coterie.crypto.paillier.resharing import Participant, ResharingPlan, reshare
from coterie.crypto.paillier.threshold import Agreed, open_sum, partial_decrypt

PARAMETERS = 1_000_000
SAMPLE = 4 * CHUNK  # ciphertexts from which the figures for all parameters are extrapolated
KEY_OF_A_MASK = 21  # ciphertexts that hold the key of a mask: all that a masked round decrypts
SUMMANDS = 10
CORES = 2


def seconds(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Return the median CPU seconds of a call, and its result."""
    times, result = [], work()
    for _ in range(repeat):
        began = time.thread_time()
        result = work()
        times.append(time.thread_time() - began)
    return statistics.median(times), result


def line(name: str, figure: str, aim: str = "") -> None:
    """Print a row of the table."""
    print(f"{name:58}{figure:>22}  {aim}")


def measure_vectors(bits: int, repeat: int) -> None:
    """Measure encrypting, adding and opening a model's update."""
    print(f"\nN of {bits} bits")
    made, private = seconds(lambda: generate(os.urandom(32), bits), 1)
    line("make a key", f"{made * 1e3:.0f} ms")
    key, packing = private.public, Packing(bits, SUMMANDS)
    began = time.thread_time()
    key.blinding()
    line("its table, once", f"{(time.thread_time() - began) * 1e3:.0f} ms")
    count = packing.plaintexts(PARAMETERS)
    rng = np.random.default_rng(1)
    values = rng.integers(-packing.limit, packing.limit, SAMPLE * packing.slots)
    whole = rng.integers(-packing.limit, packing.limit, PARAMETERS)
    packed, _ = seconds(lambda: packing.pack(whole), repeat)
    plaintexts = packing.pack(values)
    each, encrypted = seconds(lambda: encrypt(key, plaintexts, os.urandom(32)), repeat)
    each /= SAMPLE
    line("encrypt", f"{1 / each:.0f} a second", "aim 800" if bits == 2048 else "")
    total = packed + each * count
    aim = "aim 25 s" if bits == 2048 else ""
    line(f"{PARAMETERS} parameters, {count} ciphertexts (from {SAMPLE})", f"{total:.1f} s", aim)
    size = len(Encrypted(key, encrypted.values[:1]).to_bytes()) + (count - 1) * key.ciphertext_bytes
    line("  on the wire", f"{size / 1e6:.2f} MB", "aim 9 MB" if bits == 2048 else "")
    owner, _ = seconds(lambda: encrypt_as_owner(private, plaintexts[:CHUNK], os.urandom(32)), repeat)
    line("encrypt as owner, without a table", f"{owner / CHUNK * 1e3:.2f} ms")
    added, doubled = seconds(lambda: add([encrypted, encrypted]), repeat)
    line("add", f"{added / SAMPLE * 1e6:.1f} µs")
    opened, plain = seconds(lambda: decrypt(private, doubled), max(1, repeat // 3))
    line("decrypt", f"{opened / SAMPLE * 1e3:.2f} ms")
    assert np.array_equal(packing.unpack_sum(plain, values.size, 2), 2 * values)
    compare_with_phe(private, total, repeat)


def compare_with_phe(private: PrivateKey, ours: float, repeat: int) -> None:
    """Compare with phe, which encrypts each parameter by itself."""
    theirs = phe.PaillierPublicKey(int(private.public.modulus))
    each, _ = seconds(lambda: theirs.encrypt(0.123), 3 * repeat)
    ratio = each * PARAMETERS / ours
    line(
        f"phe, {PARAMETERS} parameters (from {3 * repeat})", f"{each * PARAMETERS / 3600:.1f} h",
        f"{ratio:.0f} times ours (aim 300)",
    )  # fmt: skip


def measure_cores(repeat: int) -> None:
    """Measure encryption on two cores by the wall clock: the best of several runs, since others use the cores as well.

    The CPU time of all processes together, against that of one process, says how much two idle cores would gain: a
    factor of two, divided by this ratio.
    """
    key = generate(os.urandom(32)).public
    plaintexts = list(range(32 * CHUNK))
    key.blinding()  # inherited by the workers
    spreads: dict[str, Spread] = {"": map}
    times: dict[str, list[float]] = {"": [], "processes": [], "threads": []}
    alone = []
    before = _children_seconds()
    with ProcessPoolExecutor(CORES) as processes, ThreadPoolExecutor(CORES) as threads:
        spreads |= {"processes": processes.map, "threads": threads.map}
        for _ in range(repeat + 1):  # the first one warms up
            for name, spread in spreads.items():
                began, cpu = time.perf_counter(), time.thread_time()
                encrypt(key, plaintexts, bytes(32), spread=spread)
                times[name].append(time.perf_counter() - began)
                if spread is map:
                    alone.append(time.thread_time() - cpu)
    together = (_children_seconds() - before) / (repeat + 1)
    best = {name: min(found[1:]) for name, found in times.items()}
    print(f"\nEncrypting {len(plaintexts)} plaintexts under 2048 bits, wall clock, best of {repeat}")
    line("one core", f"{best['']:.2f} s")
    line(
        f"{CORES} processes",
        f"{best['processes']:.2f} s",
        f"{best[''] / best['processes']:.2f} times as fast (aim 1.8)",
    )
    line("  CPU time of both, against one", f"{together / statistics.mean(alone):.2f}")
    line(f"{CORES} threads: not the way", f"{best['threads']:.2f} s", f"{best[''] / best['threads']:.2f} times as fast")


def _children_seconds() -> float:
    """Return the CPU seconds of all processes that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def measure_threshold(repeat: int) -> None:
    """Measure opening the key of a mask by 4 of 5, and handing the decryption key on."""
    print(f"\nThreshold, N of 2048 bits, 4 of 5, {KEY_OF_A_MASK} ciphertexts")
    group, shares = deal(generate(os.urandom(32)), 4, 5, os.urandom(32))
    plaintexts = list(range(KEY_OF_A_MASK))
    encrypted = encrypt(group.key, plaintexts, os.urandom(32))
    agreed = Agreed(bytes(32), 1, encrypted.digest)
    each, _ = seconds(lambda: partial_decrypt(group, shares[0], encrypted, agreed, os.urandom(32)), repeat)
    line("partial decryption with its proof", f"{each * 1e3:.0f} ms")
    parts = [partial_decrypt(group, share, encrypted, agreed, os.urandom(32)) for share in shares]
    line("  on the wire", f"{len(parts[0].to_bytes(group))} bytes")
    checked, opened = seconds(lambda: open_sum(group, encrypted, agreed, parts), repeat)
    assert opened.plaintexts == tuple(plaintexts)
    line("check all 5 and combine", f"{checked * 1e3:.0f} ms", "aim 3 s")
    measure_claims(group.key, repeat)
    plan = ResharingPlan(bytes(32), group, tuple(Participant(i if i < 4 else None, i) for i in range(5)), 4)
    machines = [reshare(plan, i, shares[i] if i < 4 else None, os.urandom(32)) for i in range(5)]
    cpu, sent, _ = run_parties(machines)
    line("resharing 4 of 5 to 4 of 5, a party", f"{cpu * 1e3:.0f} ms", f"{sent / 1e3:.0f} kB sent")


def measure_claims(key: PublicKey, repeat: int) -> None:
    """Measure how five contributors show that a sum is that of their vectors."""
    plaintexts, seeds = list(range(KEY_OF_A_MASK)), [os.urandom(32) for _ in range(5)]
    sent = [encrypt(key, plaintexts, seed) for seed in seeds]
    total = add(sent)
    challenge = challenge_for(b"benchmark", total)

    def claim(i: int) -> Claim:
        return claim_fingerprint(sent[i], plaintexts, seeds[i], challenge, b"%d" % i)

    each, _ = seconds(lambda: claim(0), repeat)
    line("claim a fingerprint", f"{each * 1e3:.0f} ms")
    claims = [claim(i) for i in range(5)]
    line("  on the wire", f"{len(claims[0].to_bytes())} bytes")
    checked, taken = seconds(
        lambda: adds_up(total, challenge, [check_claim(one, challenge, b"%d" % i) for i, one in enumerate(claims)]),
        repeat,
    )
    assert taken
    line("check those of 5 contributors", f"{checked * 1e3:.0f} ms")


def measure_joint(parties: int, runs: int, bits: int) -> None:
    """Measure keys without a dealer: CPU seconds and bytes of each party."""
    times, sizes = [], []
    for _ in range(runs):
        plan = Plan(os.urandom(32), parties, 2 * parties // 3 + 1 if parties > 3 else 2, bits)
        cpu, sent, _ = run_parties([joint_key(plan, i, os.urandom(32)) for i in range(parties)])
        times.append(cpu)
        sizes.append(sent)
    figure = f"{statistics.mean(times):.1f} s ({min(times):.1f}-{max(times):.1f})"
    aim = "aim 60 s" if bits == 2048 else ""
    line(f"joint key, {bits} bits, {parties} parties, a party, mean of {runs}", figure, aim)
    line("  bytes that each sends to all others together", f"{statistics.mean(sizes) / 1e6:.1f} MB")


def run_parties(parties: Sequence[Any]) -> tuple[float, float, list[Any]]:
    """Run parties without losing messages; returns the CPU seconds and bytes of a party on average, and the results."""
    began, sent, results = time.thread_time(), 0, []
    steps = [(i, party.start()) for i, party in enumerate(parties)]
    while steps:
        sender, step = steps.pop(0)
        assert step.aborted is None, step.aborted
        if step.result is not None:
            results.append(step.result)
        for message in step.send:
            sent += len(message.data)
            steps.append((message.to, parties[message.to].receive(sender, message.data)))
    assert len(results) == len(parties)
    return (time.thread_time() - began) / len(parties), sent / len(parties), results


def report(repeat: int = 5) -> None:
    """Print everything but joint keys, in about a minute and a half."""
    for bits in (2048, 3072):
        measure_vectors(bits, repeat)
    measure_threshold(repeat)
    measure_cores(repeat)


def report_joint(parties: Sequence[int], keys: int, bits: int = 2048) -> None:
    """Print the cost of keys without a dealer, with all parties in this process.

    A key of 2048 bits takes 3 or 5 parties together about 10 s, and 10 parties about 40 s. Chance decides how many
    candidates are needed, so a key may also take four times as long, or hardly any time.
    """
    print("\nKeys without a dealer")
    for count in parties:
        measure_joint(count, keys, bits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each line (default: %(default)s)")
    parser.add_argument("--joint", type=int, nargs="+", metavar="PARTIES", help="only joint keys, for so many parties")
    parser.add_argument("--keys", type=int, default=5, help="joint keys for each number of parties (default: 5)")
    parser.add_argument("--bits", type=int, default=2048, help="of joint keys (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.joint:
        report_joint(chosen.joint, chosen.keys, chosen.bits)
    else:
        report(chosen.repeat)


if __name__ == "__main__":
    main()
