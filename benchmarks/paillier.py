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

from coterie.crypto.identity.identity import Identity
from coterie.crypto.paillier.claims import Claim, Contributors, ProvedSum, check_claim, claim_fingerprint, prove_sum
from coterie.crypto.paillier.encryption import CHUNK, Encrypted, Spread, add, decrypt, encrypt, encrypt_as_owner
from coterie.crypto.paillier.generation import epochs
from coterie.crypto.paillier.generation.joint import Plan, joint_key
from coterie.crypto.paillier.generation.resharing import Participant, ResharingPlan, reshare
from coterie.crypto.paillier.group import Group, deal
from coterie.crypto.paillier.keys import PrivateKey, generate
from coterie.crypto.paillier.packing import Packing
from coterie.crypto.paillier.rounds.seats import Seat, take_seat
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
    proved = measure_claims(group, repeat)
    encrypted, agreed = proved.total, Agreed(proved.federation, proved.epoch, proved.total.digest)
    each, _ = seconds(lambda: partial_decrypt(group, shares[0], proved, agreed, os.urandom(32)), repeat)
    line("partial decryption with its proof", f"{each * 1e3:.0f} ms")
    parts = [partial_decrypt(group, share, proved, agreed, os.urandom(32)) for share in shares]
    line("  on the wire", f"{len(parts[0].to_bytes(group))} bytes")
    checked, opened = seconds(lambda: open_sum(group, encrypted, agreed, parts), repeat)
    assert opened.plaintexts == tuple(5 * m for m in range(KEY_OF_A_MASK))
    line("check all 5 and combine", f"{checked * 1e3:.0f} ms", "aim 3 s")
    people = identities(5)
    members = tuple(one.public for one in people)
    # A key that a dealer made has no record. Only for this figure it passes for one that is in force.
    epoch = epochs.Epoch(group, members, (), bytes(32), bytes(32), epochs._WITNESS)
    participants = tuple(Participant(i if i < 4 else None, i, member) for i, member in enumerate(members))
    plan = ResharingPlan(bytes(32), epoch, participants, 4, tolerated=0)
    machines = [
        reshare(plan, i, shares[i] if i < 4 else None, os.urandom(32), seat_of(plan, people[i])) for i in range(5)
    ]
    cpu, sent, _ = run_parties(machines)
    line("resharing 4 of 5 to 4 of 5, a party", f"{cpu * 1e3:.0f} ms", f"{sent / 1e3:.0f} kB sent")


def measure_claims(group: Group, repeat: int) -> ProvedSum:
    """Measure how five contributors show that a sum is that of their vectors; gives the sum."""
    key, plaintexts, seeds = group.key, list(range(KEY_OF_A_MASK)), [os.urandom(32) for _ in range(5)]
    sent = [encrypt(key, plaintexts, seed) for seed in seeds]
    total = add(sent)
    members = [one.public for one in identities(5)]
    contributors = Contributors(bytes(32), 1, 1, group, {member: member for member in members})
    challenge, contexts = contributors.challenge(total), [contributors.context_of(member) for member in members]

    def claim(i: int) -> Claim:
        return claim_fingerprint(sent[i], plaintexts, seeds[i], challenge, contexts[i])

    each, _ = seconds(lambda: claim(0), repeat)
    line("claim a fingerprint", f"{each * 1e3:.0f} ms")
    claims = [claim(i) for i in range(5)]
    line("  on the wire", f"{len(claims[0].to_bytes())} bytes")

    def check() -> ProvedSum:
        proved = {members[i]: check_claim(one, challenge, contexts[i]) for i, one in enumerate(claims)}
        return prove_sum(total, proved, contributors)

    checked, taken = seconds(check, repeat)
    line("check those of 5 contributors", f"{checked * 1e3:.0f} ms")
    return taken


def measure_joint(parties: int, runs: int, bits: int) -> None:
    """Measure keys without a dealer, one and one of two: CPU seconds and bytes of each party."""
    people = identities(parties)
    members = tuple(one.public for one in people)
    for keys in (1, 2):
        times, sizes = [], []
        for _ in range(runs):
            plan = Plan(os.urandom(32), parties, (parties - 1) // 2 + 1, bits, keys=keys, members=members)
            machines = [joint_key(plan, i, os.urandom(32), seat_of(plan, one)) for i, one in enumerate(people)]
            cpu, sent, _ = run_parties(machines)
            times.append(cpu)
            sizes.append(sent)
        figure = f"{statistics.mean(times):.1f} s ({min(times):.1f}-{max(times):.1f})"
        aim = "aim 60 s" if bits == 2048 else ""
        chosen = "" if keys == 1 else f", one of {keys}"
        line(f"joint key{chosen}, {bits} bits, {parties} parties, a party, mean of {runs}", figure, aim)
        line("  bytes that each sends to all others together", f"{statistics.mean(sizes) / 1e6:.1f} MB")


def identities(count: int) -> list[Identity]:
    """Identities of that many parties."""
    return [Identity(bytes([i]) * 32) for i in range(count)]


def seat_of(plan: Plan | ResharingPlan, who: Identity) -> Seat:
    """A seat in a session that nobody has run before."""
    return take_seat(plan.lockstep_session(), plan.members, who, lambda session: True)


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
