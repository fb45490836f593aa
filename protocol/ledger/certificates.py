"""The certificate of a block: the votes that decided it, in the one form that a ledger keeps."""

from itertools import pairwise

from ..messages.envelope import Peeked, Rejected, peek, verify
from ..messages.kinds import CertifiedBlock, Precommit
from .blocks import block_hash
from .state import LedgerError, LedgerState, apply


class Forged(LedgerError):
    """A certificate that no honest member keeps or shows, whatever ledger it has."""


def check_certificate(state: LedgerState, certified: CertifiedBlock) -> None:
    """Check that q distinct members of the next height's committee precommitted the block (safety rule 5).

    A certificate has one form: exactly q votes of one view, signers ascending by key. Everything that the votes say is
    compared before the first signature is checked, and the first wrong signature ends the check. Otherwise one frame of
    repeated votes would cost thousands of checks, and be stored and passed on as it came.

    Raises:
        Forged: the certificate is wrong whatever the ledger's state is.
        LedgerError: it is wrong for this state. Both name the height and what is wrong.
    """
    at = f"height {state.height + 1}: certificate:"
    wanted = block_hash(certified.block)
    quorum = state.committee.quorum
    votes = [_peek_vote(raw, state, wanted, at) for raw in certified.certificate[:quorum]]
    signers = [vote.sender for vote in votes]
    if any(low >= high for low, high in pairwise(signers)):
        raise Forged(f"{at} the signers are not in order, or one of them signs twice")
    if len({vote.view for vote in votes}) > 1:
        raise Forged(f"{at} the votes are of different views")
    if len(certified.certificate) != quorum:
        raise LedgerError(f"{at} {len(certified.certificate)} votes, but exactly {quorum} are needed")
    if any(state.committee.index(vote.sender) is None for vote in votes):
        raise LedgerError(f"{at} a signer is not of the committee")
    for vote in votes:
        checked = verify(vote.raw, state.federation)
        if isinstance(checked, Rejected):
            raise Forged(f"{at} {checked.reason}")


def _peek_vote(raw: bytes, state: LedgerState, wanted: bytes, at: str) -> Peeked:
    vote = peek(raw, state.federation)
    if isinstance(vote, Rejected):
        raise Forged(f"{at} {vote.reason}")
    if not isinstance(vote.message, Precommit) or vote.message.block_hash != wanted or vote.height != state.height + 1:
        raise Forged(f"{at} a vote is not for this block")
    return vote


def extend(state: LedgerState, certified: CertifiedBlock) -> LedgerState:
    """Check a certified block completely and return the state after it.

    Raises:
        Forged: no honest member keeps or shows this certificate.
        LedgerError: the certificate or the block is wrong.
    """
    check_certificate(state, certified)
    return apply(state, certified.block)
