"""What a proposer may propose, and what a member checks at the moment of its vote.

:mod:`..ledger.state` checks what follows from the blocks alone. The rest is here: the signed acks behind a contributor
set, the members that it leaves out or takes in, an invite's expiry. The sum itself is checked in
:mod:`..round.summing`, because that takes time.
"""

from collections.abc import Iterable, Iterator, Sequence, Set

from ...crypto.identity.identity import peer_id
from ..ledger.blocks import Body, Contributors, Evict, Join, Membership
from ..ledger.state import LedgerState
from ..limits import MAX_KEEPER_ACKS, MAX_MEMBERS, MAX_REPEATED_ACK_BYTES
from ..messages.envelope import Peeked, Verified, peek, verify
from ..messages.kinds import Ack, JoinRequest
from ..pending_changes import CLOCK_SKEW_MS, PendingChanges, invite_expired
from ..round.sharing import Sharing
from ..schemes import Choice


def contributors_body(state: LedgerState, choice: Choice) -> Contributors:
    """Return the block body for a choice of U and J."""
    return Contributors(state.round, state.genesis.scheme, state.weights_hash, choice.dealers, choice.holders)


def acks_behind(sharing: Sharing, body: Contributors, view: int) -> tuple[bytes, ...]:
    """Return the signed acks that a Contributors proposal carries: the latest of each holder, those of J first.

    Further acks follow, of holders that need several to show all that they said. All were broadcast before; they are
    repeated for members that missed some, as far as they fit a message. A liar may ack each dealing by an ack of its
    own, and so take up the room for acks that others have to see. Therefore each view begins at another place in the
    list, and every second view begins with the further acks.
    """
    acks = sharing.acks
    holders = [*body.holders, *sorted(acks.latest.keys() - set(body.holders))]
    latest = [[acks.latest[holder].raw] for holder in holders]
    more = [[ack.raw] for holder in holders for ack in acks.proofs(holder)[1:]]
    more += [[ack.raw for ack in proof] for holder in holders if (proof := acks.proof_against(holder))]
    parts = [_turned(latest, view), _turned(more, view)]
    cycle, turn = divmod(view, acks.committee.n)
    if (cycle + turn) % 2:  # so that each member, as proposer, has views of both kinds
        parts.reverse()
    return tuple(_as_many_as_fit([*parts[0], *parts[1]]))


def _turned(groups: list[list[bytes]], view: int) -> list[list[bytes]]:
    """Return the groups, beginning at another one in each view: by the golden section, so few views reach all."""
    start = view * 618 * len(groups) // 1000 % max(1, len(groups))
    return groups[start:] + groups[:start]


def _as_many_as_fit(groups: Iterable[list[bytes]]) -> Iterator[bytes]:
    """Yield the envelopes of the groups that find room, each group as a whole: only together it proves something."""
    room, places = MAX_REPEATED_ACK_BYTES, MAX_MEMBERS
    for group in groups:
        size = sum(map(len, group))
        if size <= room and len(group) <= places:
            room, places = room - size, places - len(group)
            yield from group


def wrong_contributors(state: LedgerState, sharing: Sharing, body: Contributors, acks: Sequence[bytes]) -> str | None:
    """Say what is wrong with the sets of a Contributors proposal: every holder of J must have acked all of U, by ids.

    The acks that came with it are taken first.
    """
    committee = sharing.committee
    known = {ack.raw: ack for holder in sharing.acks.latest for ack in sharing.acks.proofs(holder)}
    news = [raw for raw in acks if raw not in known]
    # Each new ack costs a signature check. One liar may ack each dealing by an ack of its own.
    most = committee.n + MAX_KEEPER_ACKS + 1
    for raw in news[: (committee.f + 1) * most]:
        ack = verify(raw, sharing.out.federation)
        if isinstance(ack, Verified) and isinstance(ack.message, Ack) and ack.message.round == sharing.round:
            sharing.on_ack(ack)
            known[raw] = ack
    together = [(committee.index(known[raw].sender), known[raw]) for raw in acks if raw in known]
    sharing.acks.take_together((holder, ack) for holder, ack in together if holder is not None)
    wanted = dict(body.dealers)
    lacking = set(body.holders) - set(sharing.acks.holders_of(wanted))
    if lacking:
        return f"{_named(state, sharing, lacking)} did not ack all contributors"
    if wanted.keys() & sharing.excluded:
        return "a dealer that was caught or has left is among the contributors"
    return None


def wrong_choice(
    state: LedgerState, sharing: Sharing, body: Contributors, alive: Iterable[bytes], changes: int, strict: bool
) -> str | None:
    """Say which members a Contributors proposal leaves out, or takes in, without need.

    Otherwise a proposer could choose whose updates count. A dealing that all hold, or could hold, is never left out.
    One that a present member cannot have is never taken in: its dealer could keep a sum from opening at will. Members
    may see different links, so they do not insist for ever on the members that are present. They do so while
    ``strict``, which lasts until the share deadline at least: a liar can begin view after view before it.

    ``changes``: how often ``alive`` changed.
    """
    dealers = frozenset(dict(body.dealers))
    settling = sharing.settling
    due = settling.due(alive, changes, sharing.is_over) if strict else settling.due_by_proof()
    omitted = due - dealers
    if omitted:
        return f"it leaves out {_named(state, sharing, omitted)}"
    return wrong_dealings(state, sharing, body, alive, changes)


def wrong_dealings(
    state: LedgerState, sharing: Sharing, body: Contributors, alive: Iterable[bytes], changes: int
) -> str | None:
    """Say whose dealings a Contributors proposal takes in although a present member cannot have its share of them."""
    unsettled = sharing.settling.without_reason(dict(body.dealers), alive, changes)
    if unsettled:
        return f"it takes in {_named(state, sharing, unsettled)}, whose dealing not everybody has"
    return None


def _named(state: LedgerState, sharing: Sharing, places: Iterable[int]) -> str:
    """Name members by their places: by the name in the ledger or, if one is gone, by the end of its PeerId."""
    keys = [sharing.committee.members[place] for place in sorted(places)]
    known = [state.member(key) for key in keys]
    return ", ".join(
        f"…{peer_id(key)[-11:]}" if one is None else one.name for key, one in zip(keys, known, strict=True)
    )


def newcomers(state: LedgerState, body: Body) -> frozenset[bytes]:
    """Return the keys of the newcomers that a block admits."""
    changes = body.changes if isinstance(body, Membership) else ()
    requests = [peek(change.request, state.federation) for change in changes if isinstance(change, Join)]
    return frozenset(one.sender for one in requests if isinstance(one, Peeked))


def wrong_membership(
    state: LedgerState, body: Membership, pool: PendingChanges, now_ms: int, heard: Set[bytes]
) -> str | None:
    """Say what is wrong with membership changes that the ledger's own rules allow.

    ``heard``: members that this one has heard lately. A member that others hear is not evicted as silent.
    """
    for change in body.changes:
        if isinstance(change, Join):
            request = verify(change.request, state.federation)
            assert isinstance(request, Verified)
            assert isinstance(request.message, JoinRequest)
            if invite_expired(state, request.message, now_ms, CLOCK_SKEW_MS):
                return "an invite has expired"
        if isinstance(change, Evict) and change.reason == "bad-dealing" and change.member not in pool.vouched:
            return "an eviction for a bad dealing that was not shown here"
        if isinstance(change, Evict) and change.reason == "silent" and change.member in heard:
            return "an eviction as silent of a member that is heard here"
    return None
