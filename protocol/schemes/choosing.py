"""Who contributes to a sum, and who opens it: contributors U and holders J such that all of J acked all of U."""

from collections.abc import Mapping

from ..limits import MAX_CHOICE_STEPS
from .base import Choice


def choose(
    acks: Mapping[int, Mapping[int, bytes]],
    min_dealers: int,
    min_holders: int,
    candidates: tuple[int, ...],
    doubts: Mapping[int, int] | None = None,
) -> Choice | None:
    """Find a large U and a J that acked all of it, or None if no sets meet the minima.

    ``acks[holder][dealer]`` is the root that the holder acked. A dealer that published several roots counts with
    its most acked one. Where too few holders acked all, the dealer with the fewest acks goes. That finds the sets
    unless somebody is out to prevent it: f members who ack only each other, and deal to all but one, have the most
    acks of all, so that the honest dealers go first. Then a search looks for any sets that meet the minima.

    ``doubts``: rises with every sum that failed of which a holder was one. A dealer that leaves out one honest holder
    can make its own share of the sum indispensable, and then withhold it; after that, holders count for more than
    dealers.
    """
    alike = _group(acks)
    roots: dict[int, bytes] = {}
    for dealer in candidates:
        seen: dict[bytes, int] = {}
        for dealings, holders in alike:
            if dealer in dealings:
                seen[dealings[dealer]] = seen.get(dealings[dealer], 0) + len(holders)
        if seen:
            roots[dealer] = max(sorted(seen), key=seen.__getitem__)
    dealers = _by_trust(acks, roots, min_dealers, min_holders, doubts) if doubts else None
    dealers = dealers or _greedy(alike, roots, min_dealers, min_holders)
    dealers = dealers or _search(acks, roots, min_dealers, min_holders)
    if dealers is None:
        return None
    return Choice(tuple(sorted(dealers.items())), _holders_of(alike, dealers))


_Alike = list[tuple[Mapping[int, bytes], list[int]]]
"""What was acked, and by which holders."""


def _group(acks: Mapping[int, Mapping[int, bytes]]) -> _Alike:
    """Group holders whose ack is one and the same object, so that it is looked at once (:meth:`.Sharing.on_ack`)."""
    alike: dict[int, tuple[Mapping[int, bytes], list[int]]] = {}
    for holder in sorted(acks):
        alike.setdefault(id(acks[holder]), (acks[holder], []))[1].append(holder)
    return list(alike.values())


def _holders_of(alike: _Alike, roots: Mapping[int, bytes]) -> tuple[int, ...]:
    """Return who acked all of these dealings."""
    wanted = roots.items()
    return tuple(sorted(one for dealings, holders in alike if wanted <= dealings.items() for one in holders))


def _by_trust(
    acks: Mapping[int, Mapping[int, bytes]],
    roots: Mapping[int, bytes],
    min_dealers: int,
    min_holders: int,
    doubts: Mapping[int, int],
) -> dict[int, bytes] | None:
    """Take in one holder after the other, the least doubted first, where enough dealers are left that all acked.

    Of those equally doubted the one that acked most, and once there are enough nobody that costs a dealer more: else a
    liar could leave out whom it likes by not acking them.
    """
    acked = {holder: len(roots.items() & dealings.items()) for holder, dealings in acks.items()}
    left, count = dict(roots), 0
    for holder in sorted(acks, key=lambda one: (doubts.get(one, 0), -acked[one], one)):
        shared = {dealer: root for dealer, root in left.items() if acks[holder].get(dealer) == root}
        if len(shared) == len(left) or (count < min_holders and len(shared) >= min_dealers):
            left, count = shared, count + 1
    return left if count >= min_holders and len(left) >= min_dealers else None


def _greedy(alike: _Alike, roots: Mapping[int, bytes], min_dealers: int, min_holders: int) -> dict[int, bytes] | None:
    left = dict(roots)
    while len(left) >= min_dealers:
        if len(_holders_of(alike, left)) >= min_holders:
            return left
        support = {
            dealer: sum(len(holders) for dealings, holders in alike if dealings.get(dealer) == root)
            for dealer, root in left.items()
        }
        del left[min(sorted(left), key=support.__getitem__)]
    return None


def _search(
    acks: Mapping[int, Mapping[int, bytes]], roots: Mapping[int, bytes], min_dealers: int, min_holders: int
) -> dict[int, bytes] | None:
    """Leave out holders and dealers, no more of each than can be spared, until no holder misses a dealer.

    A vertex cover of a bipartite graph with a bound on either side (S.-Y. Kuo and W. K. Fuchs, "Efficient spare
    allocation for reconfigurable arrays", 1987): whoever misses more than can be spared on the other side must go;
    of who is left, the holder that misses most goes, or all that it misses. Bounded, because the problem is hard in
    general; the sets that honest members make are found by the first rule alone.
    """
    missed = {
        holder: sum(1 << dealer for dealer, root in roots.items() if acks[holder].get(dealer) != root)
        for holder in sorted(acks)
    }
    missing = {
        dealer: sum(1 << holder for holder, mask in missed.items() if mask >> dealer & 1) for dealer in sorted(roots)
    }
    attempts = [(sum(1 << holder for holder in missed), sum(1 << dealer for dealer in missing))]
    for _ in range(MAX_CHOICE_STEPS):
        if not attempts:
            return None
        holders, dealers = _without_hopeless(missed, missing, *attempts.pop(), min_holders, min_dealers)
        if holders.bit_count() < min_holders or dealers.bit_count() < min_dealers:
            continue
        worst = max(_members(holders), key=lambda holder: (missed[holder] & dealers).bit_count())
        if not missed[worst] & dealers:
            return {dealer: roots[dealer] for dealer in missing if not missing[dealer] & holders}
        attempts.append((holders, dealers & ~missed[worst]))
        attempts.append((holders & ~(1 << worst), dealers))
    return None


def _without_hopeless(
    missed: Mapping[int, int],
    missing: Mapping[int, int],
    holders: int,
    dealers: int,
    min_holders: int,
    min_dealers: int,
) -> tuple[int, int]:
    """Leave out who misses, or is missed by, more than can be spared. Sets are the bits of integers."""
    while True:
        spare_holders, spare_dealers = holders.bit_count() - min_holders, dealers.bit_count() - min_dealers
        if spare_holders < 0 or spare_dealers < 0:
            return holders, dealers
        gone = [one for one in _members(holders) if (missed[one] & dealers).bit_count() > spare_dealers]
        if gone:
            holders &= ~(1 << gone[0])
            continue
        gone = [one for one in _members(dealers) if (missing[one] & holders).bit_count() > spare_holders]
        if not gone:
            return holders, dealers
        dealers &= ~(1 << gone[0])


def _members(mask: int) -> list[int]:
    """Return the places of the bits that are set."""
    return [place for place in range(mask.bit_length()) if mask >> place & 1]
