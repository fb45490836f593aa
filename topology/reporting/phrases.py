"""Messages, records and blocks in words, for transcripts."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ...protocol.ledger.blocks import (
    Amend,
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
from ...protocol.ledger.options import told
from ...protocol.messages.envelope import Peeked, Verified, peek, verify
from ...protocol.messages.kinds import (
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
    OptionsProposal,
    OptionsVote,
    Precommit,
    Prevote,
    Proposal,
    SitOut,
    Status,
    SumShare,
    UpheldComplaint,
    Weights,
    Withdrawal,
    dealing_id,
)
from ...protocol.records import (
    BallotCast,
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

__all__ = ["Phrases"]


class Phrases:
    """Puts messages, records and blocks into words.

    ``labels`` gives members names by their keys. Places of members are those in what ``committee`` returns.
    """

    def __init__(
        self, federation: bytes, labels: Mapping[bytes, str], committee: Callable[[], Sequence[bytes]]
    ) -> None:
        self._federation = federation
        self._labels = labels
        self._committee = committee

    def message(self, said: Verified) -> str:
        """Return a message in words."""
        view = said.view
        match message := said.message:
            case Deal(round=round_):
                dealing = dealing_id(self._federation, said.sender, message)
                return f"here is your share of my update for round {round_}, dealing {_short(dealing)}"
            case Ack():
                return self._ack(message)
            case HandBox(round=round_, dealer=dealer, holder=holder):
                return f"the box of peer {self._places([dealer])} for peer {self._places([holder])} of round {round_}"
            case Accusation(first=raw, second=None):
                known = peek(raw, self._federation)
                if isinstance(known, Peeked) and isinstance(known.message, Deal):
                    return "a dealing of another member, whose proof is false"
                return "a vote of another member, which is false as the others prove"
            case Accusation():
                return "two statements of one member that contradict each other"
            case Complaint(dealer=dealer):
                return f"the share from peer {self._places([dealer])} is false, as its box proves"
            case UpheldComplaint(dealer=dealer):
                return f"I opened the box, too: the share from peer {self._places([dealer])} is false"
            case SitOut(round=round_, reason=reason):
                return f"I have no update for round {round_}: {reason}"
            case Proposal():
                return self._proposal(message, view)
            case Prevote(block_hash=block, z=z):
                return f"PREVOTE in view {view}: {_short(block)}" + (", with my fingerprint of the sum" if z else "")
            case Precommit(block_hash=block):
                return f"PRECOMMIT in view {view}: {_short(block)}"
            case SumShare(round=round_):
                return f"the sum of my shares of round {round_}"
            case _:
                return self._question_or_answer(said)

    def _question_or_answer(self, said: Verified) -> str:
        match message := said.message:
            case JoinRequest(name=name):
                return f"{name} asks to be admitted"
            case Withdrawal():
                return "I take my request to be admitted back"
            case OptionsProposal(number=number, change=change):
                return f"I propose change {number} of the options: {told(change)}"
            case OptionsVote(proposal=proposal, accepts=accepts):
                return f"I vote {'yes' if accepts else 'no'} on the options {_short(proposal)}"
            case GetBlocks(height=height):
                return f"send me the blocks from height {height} on"
            case Blocks(blocks=blocks):
                return "blocks " + ", ".join(str(read_block(one.block).height) for one in blocks)
            case GetWeights(weights_hash=weights):
                return f"send me the model {_short(weights)}"
            case Weights(weights_hash=weights):
                return f"the model {_short(weights)}"
            case GetStatus():
                return "what did you see of me?"
            case Status(head=head):
                return f"I am at height {head}"
            case _:
                return type(message).__name__

    def _ack(self, ack: Ack) -> str:
        held = self._places(index for index, _ in ack.dealings)
        boxes = f", and keep {len(ack.kept)} boxes for others" if ack.kept else ""
        late = "; my deadline has passed" if ack.at_deadline else ""
        return f"I hold shares of round {ack.round} from peers {held}{boxes}{late}"

    def _proposal(self, proposal: Proposal, view: int) -> str:
        behind = f", {len(proposal.acks)} acks" if proposal.acks else ""
        again = f", as in view {proposal.valid_view}" if proposal.valid_view >= 0 else ""
        return f"PROPOSAL in view {view}: {self.block(proposal.block)}{behind}{again}"

    def record(self, record: Record) -> str:
        """Return a record in words."""
        match record:
            case BlockDecided(height=height, block=data, certificate=certificate):
                return f"block {height}, decided by {len(certificate)} precommits: {self.block(data)}"
            case ModelSaved(weights_hash=weights):
                return f"the model {_short(weights)}"
            case VoteCast(kind=kind, view=view):
                return f"its {'precommit' if kind else 'prevote'} of view {view}"
            case ValueSeen(locked=locked, block=data, view=view):
                return f"the {'lock' if locked else 'valid value'} of view {view}: {_short(block_hash(data))}"
            case Dealt(round=round_):
                return f"its dealing of round {round_}"
            case ShareHeld(dealer=dealer):
                return f"the share of {self.peer(dealer)}, which it has checked"
            case Released(round=round_, contributors=contributors):
                return f"that it releases its sum of round {round_} for contributors {_short(contributors)}"
            case RoundClosed(round=round_):
                return f"that round {round_} is over"
            case LostStateFound(height=height):
                return f"that block {height} holds what it signed and does not know: it is an older state of itself"
            case ShownToUs(round=round_):
                return f"what others showed that it signed in round {round_}"
            case BallotCast(proposal=proposal):
                return f"its vote on the options {_short(proposal)}"

    def block(self, data: bytes) -> str:
        """Return a block's decision in words."""
        return f"{self._body(read_block(data).body)} ({_short(block_hash(data))})"

    def _body(self, body: Body) -> str:
        match body:
            case Membership(changes=changes):
                return "Membership, " + " and ".join(map(self._change, changes))
            case Contributors(round=round_, dealers=dealers, holders=holders):
                dealing = self._places(index for index, _ in dealers)
                return f"Contributors of round {round_}, peers {dealing}, held by peers {self._places(holders)}"
            case Model(round=round_, vector_hash=vector, weights_hash=weights):
                return f"Model of round {round_}, sum {_short(vector)}, weights {_short(weights)}"
            case Void(round=round_, reason=reason, names=names):
                missing = f", missing peers {' '.join(map(self._label, names))}" if names else ""
                what = "a sum of contributions" if reason == "encoding" else reason
                return f"Void of round {round_} for want of {what}{missing}"

    def _change(self, change: Join | Depart | Evict | Amend) -> str:
        match change:
            case Amend(proposal=raw):
                proposal = verify(raw, self._federation)
                assert isinstance(proposal, Verified)
                assert isinstance(proposal.message, OptionsProposal)
                return f"the options become {told(proposal.message.change)}, as {self.peer(proposal.sender)} proposed"
            case Evict(member=member, reason=reason):
                return f"{self.peer(member)} is evicted ({reason})"
            case Join(request=raw) | Depart(request=raw):
                request = verify(raw, self._federation)
                assert isinstance(request, Verified)
                return f"{self.peer(request.sender)} {'joins' if isinstance(change, Join) else 'leaves'}"

    def peer(self, member: bytes) -> str:
        """Return the name of a member."""
        return f"peer {self._label(member)}"

    def _label(self, member: bytes) -> str:
        return self._labels.get(member, member[:2].hex())

    def _places(self, indices: Iterable[int]) -> str:
        """Return the names of peers by their places in the committee; a liar may give places that do not exist."""
        members = self._committee()
        found = (self._label(members[index]) if 0 <= index < len(members) else f"?{index}" for index in indices)
        return " ".join(sorted(found, key=lambda label: (len(label), label)))


def _short(data: bytes | None) -> str:
    return "nil" if data is None else data.hex()[:4]
