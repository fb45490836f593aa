"""A federation's doings as a text that a person can read: who says what to whom, writes what down, and is told what.

A paragraph begins with the milliseconds since the start and the peer that acts. What a step writes down stands before
what it sends, which is the order in which a driver must act. Hashes are cut to their first four digits.
"""

from collections.abc import Iterable

from cluster import START_MS, Cluster, Site

from coterie.protocol.blocks import (
    Body,
    Contributors,
    Depart,
    Evict,
    Join,
    Membership,
    Model,
    Void,
    block_hash,
    read_block,
)
from coterie.protocol.envelope import Verified, verify
from coterie.protocol.events import Send
from coterie.protocol.messages import (
    Accusation,
    Ack,
    Blocks,
    Complaint,
    Deal,
    GetBlocks,
    GetStatus,
    GetWeights,
    HandBox,
    JoinRequest,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    Status,
    SumShare,
    Weights,
    dealing_id,
)
from coterie.protocol.records import (
    BlockDecided,
    Dealt,
    LostStateFound,
    ModelSaved,
    Record,
    Released,
    RoundClosed,
    ShareHeld,
    ShownToUs,
    ValueSeen,
    VoteCast,
)


class Transcript:
    """Collects the lines of a cluster while it runs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.lines: list[str] = []
        self._records = dict.fromkeys(range(len(cluster.sites)), 0)
        self._notices = dict.fromkeys(range(len(cluster.sites)), 0)
        self._last: tuple[int, int] | None = None
        self._start_ms: int | None = START_MS
        cluster.before_send = self._on_send
        cluster.after_step = self._on_step

    def begin(self) -> None:
        """Forget what was, and count the time from the next line on."""
        self.lines.clear()
        self._start_ms = self._last = None

    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines) + "\n"

    def _line(self, site: Site, what: str) -> None:
        """One line; time and peer stand only where they change."""
        self._start_ms = self.cluster.now_ms if self._start_ms is None else self._start_ms
        now = (self.cluster.now_ms - self._start_ms, site.number)
        head = f"{now[0]:5} peer {now[1]}" if now != self._last else " " * 12
        if now != self._last and self.lines:
            self.lines.append("")
        self._last = now
        self.lines.append(f"{head}  {what}")

    def _on_step(self, site: Site) -> None:
        self._write_down(site)
        for notice in site.notices[self._notices[site.number] :]:
            self._line(site, f"reports: {notice.text}")
        self._notices[site.number] = len(site.notices)

    def _write_down(self, site: Site) -> None:
        for record in site.disk.records[self._records[site.number] :]:
            self._line(site, f"writes down {self._record(record)}")
        self._records[site.number] = len(site.disk.records)

    def _on_send(self, site: Site, send: Send) -> None:
        self._write_down(site)
        message = verify(send.envelope, self.cluster.genesis.federation)
        assert isinstance(message, Verified)
        to = "all" if send.to is None else self._peer(send.to)
        blob = f", with {len(send.blob):,} bytes" if send.blob else ""
        self._line(site, f"-> {to}: {self._say(message)}{blob}")

    # Words.

    def _peer(self, member: bytes) -> str:
        return f"peer {self.cluster.by_key[member].number}"

    def _peers(self, indices: Iterable[int]) -> str:
        """Peers by their places in the committee, which is in the order of their keys."""
        node = next(site.node for site in self.cluster.sites if site.node)
        members = node.state.committee.members
        return " ".join(
            str(number) for number in sorted(self.cluster.by_key[members[index]].number for index in indices)
        )

    def _say(self, said: Verified) -> str:
        view = said.view
        match message := said.message:
            case Deal(round=round_):
                dealing = dealing_id(self.cluster.genesis.federation, said.sender, message)
                return f"here is your share of my update for round {round_}, dealing {_short(dealing)}"
            case Ack(round=round_, dealings=dealings, kept=kept):
                boxes = f", and keep {len(kept)} boxes for others" if kept else ""
                return (
                    f"I hold shares of round {round_} from peers {self._peers(index for index, _ in dealings)}{boxes}"
                )
            case HandBox(round=round_, dealer=dealer, holder=holder):
                return f"the box of peer {self._peers([dealer])} for peer {self._peers([holder])} of round {round_}"
            case Accusation():
                return "two statements of one member that contradict each other"
            case Complaint(dealer=dealer):
                return f"the share from peer {self._peers([dealer])} is false, as its box proves"
            case SitOut(round=round_, reason=reason):
                return f"I have no update for round {round_}: {reason}"
            case Proposal(block=data, acks=acks, valid_view=valid_view):
                behind = f", {len(acks)} acks" if acks else ""
                again = f", as in view {valid_view}" if valid_view >= 0 else ""
                return f"PROPOSAL in view {view}: {self._block(data)}{behind}{again}"
            case Prevote(block=block, z=z):
                return f"PREVOTE in view {view}: {_short(block)}" + (", with my fingerprint of the sum" if z else "")
            case Precommit(block=block):
                return f"PRECOMMIT in view {view}: {_short(block)}"
            case SumShare(round=round_):
                return f"the sum of my shares of round {round_}"
            case JoinRequest(name=name):
                return f"{name} asks to be admitted"
            case GetBlocks(height=height):
                return f"send me the blocks from height {height} on"
            case Blocks(blocks=blocks):
                return "blocks " + ", ".join(str(read_block(one.block).height) for one in blocks)
            case GetWeights(weights=weights):
                return f"send me the model {_short(weights)}"
            case Weights(weights=weights):
                return f"the model {_short(weights)}"
            case GetStatus():
                return "what did you see of me?"
            case Status(head=head):
                return f"I am at height {head}"
            case _:
                return type(message).__name__

    def _record(self, record: Record) -> str:
        match record:
            case BlockDecided(height=height, block=data, certificate=certificate):
                return f"block {height}, decided by {len(certificate)} precommits: {self._block(data)}"
            case ModelSaved(weights_hash=weights):
                return f"the model {_short(weights)}"
            case VoteCast(kind=kind, view=view):
                return f"its {'precommit' if kind else 'prevote'} of view {view}"
            case ValueSeen(locked=locked, block=data, view=view):
                return f"the {'lock' if locked else 'valid value'} of view {view}: {_short(block_hash(data))}"
            case Dealt(round=round_):
                return f"its dealing of round {round_}"
            case ShareHeld(dealer=dealer):
                return f"the share of {self._peer(dealer)}, which it has checked"
            case Released(round=round_, contributors=contributors):
                return f"that it releases its sum of round {round_} for contributors {_short(contributors)}"
            case RoundClosed(round=round_):
                return f"that round {round_} is over"
            case LostStateFound(height=height):
                return f"that block {height} holds what it signed and does not know: it is an older state of itself"
            case ShownToUs(round=round_):
                return f"what others showed that it signed in round {round_}"

    def _block(self, data: bytes) -> str:
        return f"{self._body(read_block(data).body)} ({_short(block_hash(data))})"

    def _body(self, body: Body) -> str:
        match body:
            case Membership(changes=changes):
                return "Membership, " + " and ".join(map(self._change, changes))
            case Contributors(round=round_, dealers=dealers, holders=holders):
                dealing = self._peers(index for index, _ in dealers)
                return f"Contributors of round {round_}, peers {dealing}, held by peers {self._peers(holders)}"
            case Model(round=round_, vector=vector, weights=weights):
                return f"Model of round {round_}, sum {_short(vector)}, weights {_short(weights)}"
            case Void(round=round_, reason=reason, names=names):
                missing = " ".join(str(self.cluster.by_key[name].number) for name in names)
                what = "a sum of contributions" if reason == "encoding" else reason
                return f"Void of round {round_} for want of {what}, missing peers {missing}"

    def _change(self, change: Join | Depart | Evict) -> str:
        match change:
            case Evict(member=member, reason=reason):
                return f"{self._peer(member)} is evicted ({reason})"
            case Join(request=raw) | Depart(request=raw):
                request = verify(raw, self.cluster.genesis.federation)
                assert isinstance(request, Verified)
                return f"{self._peer(request.sender)} {'joins' if isinstance(change, Join) else 'leaves'}"


def _short(data: bytes | None) -> str:
    return "nil" if data is None else data.hex()[:4]
