"""Members of a cluster that lie in what they deal, ack, keep and serve; the rest of each is a real node.

A liar is bent from outside: what it sends is changed on its way, to each receiver as it likes, and signed again with
its own key. Everybody else is an unchanged node.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from cluster import Cluster, Site
from members import make_genesis
from watch import Watch

from coterie.protocol.events import Send
from coterie.protocol.ledger.blocks import Contributors, Evict, Membership, Void, read_block
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.state import apply, genesis_state
from coterie.protocol.messages.envelope import Verified, seal, verify
from coterie.protocol.messages.kinds import Ack, Deal, HandBox, Message, Proposal, dealing_id
from coterie.protocol.records import BlockDecided

Bend = Callable[[Site, Site, Verified, Send], "Send | None"]


class Lied(Cluster):
    """A federation of n in which the liars' messages go through :attr:`bends`, one after the other."""

    def __init__(self, n: int, liars: Iterable[int], seed: int = 1, is_founded: bool = False, **changes: Any) -> None:
        given = {"min_peers": n, "rounds": 3, "evict_after_rounds": 0} | changes
        super().__init__(n, make_genesis(**given), seed, is_founded=is_founded)
        self.liars = tuple(liars)
        self.watch = Watch(self, frozenset(self.sites[number].key for number in self.liars))
        self.bends: list[Bend] = []
        self.tamper = self._bend

    def _bend(self, sender: Site, receiver: Site, send: Send) -> Send | None:
        if sender.number not in self.liars:
            return send
        bent: Send | None = send
        for bend in self.bends:
            if bent is None:
                return None
            message = verify(bent.envelope, self.genesis.federation)
            if not isinstance(message, Verified) or message.sender != sender.identity.public:
                return bent
            bent = bend(sender, receiver, message, bent)
        return bent

    def again(self, sender: Site, original: Verified, message: Message, send: Send, blob: bytes | None) -> Send:
        """Another message in place of one of the liar's."""
        raw = seal(sender.identity, self.genesis.federation, original.height, original.view, message)
        return replace(send, envelope=raw, blob=blob)

    # What came of it.

    @property
    def honest(self) -> list[Site]:
        """The members that do not lie."""
        return [site for site in self.sites if site.number not in self.liars]

    def bodies(self) -> list[Any]:
        """The bodies of the ledger of the first honest member."""
        records = self.honest[0].disk.records
        return [read_block(one.block).body for one in records if isinstance(one, BlockDecided)]

    def committee(self) -> Committee:
        """All members."""
        return Committee(tuple(sorted(site.identity.public for site in self.sites)))

    def contributing(self) -> list[tuple[int, set[int]]]:
        """By round, the numbers of those that contribute."""
        state, found = genesis_state(self.genesis), []
        for one in self.honest[0].disk.records:
            if isinstance(one, BlockDecided):
                members, body = state.committee.members, read_block(one.block).body
                if isinstance(body, Contributors):
                    found.append((body.round, {self.by_key[members[index]].number for index, _ in body.dealers}))
                state = apply(state, one.block)
        return found

    def evicted(self) -> list[tuple[int, str]]:
        """The members that were evicted, and why."""
        changes = [change for body in self.bodies() if isinstance(body, Membership) for change in body.changes]
        return [(self.by_key[one.member].number, one.reason) for one in changes if isinstance(one, Evict)]

    def voids(self) -> list[Void]:
        """The rounds without a result."""
        return [body for body in self.bodies() if isinstance(body, Void)]

    def accused(self) -> set[int]:
        """Whom honest members name."""
        named = {facts.get("member") for site in self.honest for facts in site.facts("fault")}
        return {self.by_key[one].number for one in named if one is not None}

    def is_over(self) -> bool:
        """Whether the honest have finished."""
        return all(site.node is not None and site.node.state.phase == "finished" for site in self.honest)

    def go(self, limit_ms: int = 600_000) -> None:
        """Run until the honest have finished."""
        self.start()
        self.run(self.is_over, limit_ms)


# Lies.


def at(cluster: Cluster, number: int) -> int:
    """A member's place where all are of the round."""
    return sorted(site.identity.public for site in cluster.sites).index(cluster.sites[number].identity.public)


def refuses(cluster: Lied, dealers: set[int], liars: set[int], shown: set[int] = frozenset()) -> Bend:  # type: ignore[assignment]
    """These liars ack none of these dealers, but to those that are to see it (``shown``)."""
    places = {at(cluster, one) for one in dealers}

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        ack = message.message
        if not isinstance(ack, Ack) or receiver.number in shown or sender.number not in liars:
            return send
        kept = tuple(pair for pair in ack.kept if pair[0] not in places)
        named = tuple(one for one in ack.dealings if one[0] not in places)
        return cluster.again(sender, message, Ack(ack.round, named, kept), send, None)

    return bend


def proposes_no_contributors(cluster: Lied, liars: set[int]) -> Bend:
    """These liars are silent where their proposal would carry acks, their own among them."""

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        said = message.message
        return None if sender.number in liars and isinstance(said, Proposal) and said.acks else send

    return bend


def deals_to_all_but(cluster: Lied, left_out: set[int], hands_over: bool) -> Bend:
    """Liars deal to all but these, and hand their boxes to others or not."""

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        if isinstance(message.message, Deal) and receiver.number in left_out:
            return None
        return None if isinstance(message.message, HandBox) and not hands_over else send

    return bend


def other_deal(cluster: Lied, change: Callable[[Deal], Deal], victims: set[int]) -> Bend:
    """Liars show another dealing to these."""

    def bend(sender: Site, receiver: Site, message: Verified, send: Send) -> Send | None:
        if isinstance(message.message, Deal) and receiver.number in victims:
            return cluster.again(sender, message, change(message.message), send, send.blob)
        return send

    return bend


def id_of(cluster: Cluster, number: int, deal: Deal) -> bytes:
    """The id of a dealing."""
    return dealing_id(cluster.genesis.federation, cluster.sites[number].identity.public, deal)
