"""What a proposer may propose, and what a member checks at the moment it votes.

:mod:`.ledger` checks what follows from the blocks alone. Here stands the rest: the signed acks behind a
contributor set, and whom it leaves out, one's own share deadline, an invite's expiry. The sum itself is checked
in :mod:`.summing`, because that takes time.
"""

from collections.abc import Iterable, Sequence

from .blocks import Contributors, Evict, Join, Membership, Void
from .envelope import Verified, verify
from .ledger import LedgerState
from .limits import MAX_REPEATED_ACK_BYTES
from .messages import Ack, JoinRequest
from .pool import CLOCK_SKEW_MS, ChangePool, invite_expired
from .schemes import Choice
from .sharing import Sharing


def contributors_body(state: LedgerState, choice: Choice) -> Contributors:
    """Return the block body for a choice of U and J."""
    return Contributors(state.round, state.genesis.scheme, state.weights, choice.dealers, choice.holders)


def acks_behind(sharing: Sharing, choice: Choice) -> tuple[bytes, ...]:
    """Return signed acks of J for a Contributors proposal to carry.

    Everybody has had them by broadcast; they are repeated for who missed one, as far as they fit a message.
    """
    acks: list[bytes] = []
    total = 0
    for holder in choice.holders:
        total += len(sharing.ack_envelopes[holder])
        if total > MAX_REPEATED_ACK_BYTES:
            break
        acks.append(sharing.ack_envelopes[holder])
    return tuple(acks)


def wrong_contributors(sharing: Sharing, body: Contributors, acks: Sequence[bytes]) -> str | None:
    """Say what is wrong with a Contributors proposal: every holder of J must have acked all of U, by root."""
    for raw in acks[: sharing.committee.n]:  # each costs a signature, and nobody needs two of a member
        if raw not in sharing.ack_envelopes.values():
            ack = verify(raw, sharing.out.federation)
            if isinstance(ack, Verified) and isinstance(ack.message, Ack) and ack.message.round == sharing.round:
                sharing.on_ack(ack)
    wanted = dict(body.dealers).items()
    good: dict[int, bytes] | None = None
    for holder in body.holders:
        acked = sharing.acks.get(holder, {})
        if acked is not good and not wanted <= acked.items():
            return f"holder {holder} did not ack all contributors"
        good = acked  # most holders' acks are one and the same
    if any(dealer in sharing.liars for dealer, _ in body.dealers):
        return "a dealer that was caught is among the contributors"
    return None


def wrong_omission(sharing: Sharing, body: Contributors, alive: Iterable[bytes], changes: int) -> str | None:
    """Say whom a Contributors proposal leaves out, or takes in, without need. ``changes``: how often ``alive`` changed.

    Else a proposer chooses whose updates count; and one that has opened a sum, and made it fail, has it repeated
    without the one member whose update it wants to know, or with it where it was not among them.
    """
    dealers, due = frozenset(dict(body.dealers)), sharing.due(alive, changes)
    if due - dealers:
        return f"it leaves out {_named(due - dealers)}"
    if sharing.failed and due <= sharing.failed and dealers - sharing.failed:
        return f"it repeats a sum that failed, with {_named(dealers - sharing.failed)} added"
    return None


def _named(members: Iterable[int]) -> str:
    return "member " + ", ".join(str(index) for index in sorted(members))


def wrong_membership(state: LedgerState, body: Membership, pool: ChangePool, now_ms: int) -> str | None:
    """Say what is wrong with membership changes that the ledger's own rules allow."""
    for change in body.changes:
        if isinstance(change, Join):
            request = verify(change.request, state.federation)
            assert isinstance(request, Verified)
            assert isinstance(request.message, JoinRequest)
            if invite_expired(state, request.message, now_ms, CLOCK_SKEW_MS):
                return "an invite has expired"
        if isinstance(change, Evict) and change.reason == "bad-dealing" and change.member not in pool.vouched:
            return "an eviction for a bad dealing that was not shown here"
    return None


def wrong_void(
    body: Void, sharing: Sharing | None, summing_has_model: bool, view: int, void_after_views: int
) -> str | None:
    """Say why the round need not be void: a member gives it up only when it sees no way itself."""
    if body.reason == "shares":
        if sharing is None or not sharing.deadline_passed:
            return "the share deadline has not passed"
        return "the shares suffice" if sharing.choice() is not None else None
    if view < void_after_views:
        return f"only view {view} of {void_after_views}"
    # Open is not agreed: holders that gave their sums and withhold their fingerprints would else hold up the round
    # for ever.
    return "the sum is open" if summing_has_model and view < 2 * void_after_views else None
