"""Sixty-five ways to misbehave, each a small class below :class:`..engine.adversary.Adversary`.

* :mod:`.voting`: proposals and votes
* :mod:`.false_dealings`, :mod:`.boxes`: shares, sums, and the boxes that hold shares
* :mod:`.provers`: false proofs of a dealing
* :mod:`.equivocation`: one story to half of the members, another one to the rest
* :mod:`.collusion`: liars with a common victim, the base of many others
* :mod:`.views`, :mod:`.accusations`: things that one member sees and the others do not
* :mod:`.proving`, :mod:`.showing`: false proofs of a sum, and lies that few see
* :mod:`.stalling`, :mod:`.traffic`: waiting, silence, replayed messages and false ledgers

:mod:`.forging` makes the false messages; :mod:`..engine.chain` combines several strategies of one site.
"""

from typing import Final

from ..engine.adversary import Adversary
from .accusations import FutureAccusations, OldAccusation, TwoComplaints
from .boxes import AckToDealer, BadTerms, BoxFlood, FalseKeeper, FalseOpening, FewHolders, HandToColluders, TakeIn
from .collusion import (
    FailAndCrash,
    FailAndLeave,
    FailAndShun,
    FailAndVanish,
    FailAndWait,
    LateAck,
    OpenAndFail,
    Refuse,
    Shun,
    ShunInTurn,
)
from .equivocation import TwinDeal, TwoAcks, TwoFaced, TwoLedgers, TwoSums
from .false_dealings import (
    FalseComplaint,
    FalseProof,
    GarbageBox,
    LongestUpdate,
    MisDeal,
    NonEncoding,
    Withhold,
    WrongBlob,
    WrongShare,
)
from .proving import EraseProof, FalseFirst, MixedProof
from .showing import FalseZToOne, LieAfterLeaving, ReturnUnseen
from .stalling import Choosy, Crawl, FailAndGarble, LostKeeper
from .traffic import FalseHead, ForgedCertificate, PaddedLedger, Replay, Selective, Silent, Twins
from .views import LateTakeIn, Mask, QuietComplaint, SeeSaw, SingleAcks
from .voting import Amnesia, Burst, DoubleVote, Equivocate, FalseVoid, InvalidValue, StaleLock, ViewFlood

__all__ = ["STRATEGIES", "Adversary"]

STRATEGIES: Final[dict[str, type[Adversary]]] = {
    one.name: one
    for one in (
        Silent,
        Equivocate,
        DoubleVote,
        Amnesia,
        Burst,
        StaleLock,
        InvalidValue,
        ViewFlood,
        Selective,
        Twins,
        MisDeal,
        Withhold,
        WrongShare,
        ForgedCertificate,
        PaddedLedger,
        FalseHead,
        Replay,
        NonEncoding,
        GarbageBox,
        FalseComplaint,
        WrongBlob,
        TwinDeal,
        TwoAcks,
        TwoSums,
        TwoLedgers,
        TwoFaced,
        Shun,
        ShunInTurn,
        Refuse,
        FailAndShun,
        FailAndWait,
        FailAndVanish,
        FailAndLeave,
        FailAndCrash,
        OpenAndFail,
        LateAck,
        BadTerms,
        FalseOpening,
        FalseKeeper,
        HandToColluders,
        AckToDealer,
        TakeIn,
        FewHolders,
        FalseVoid,
        BoxFlood,
        Mask,
        QuietComplaint,
        SeeSaw,
        LateTakeIn,
        SingleAcks,
        OldAccusation,
        FutureAccusations,
        TwoComplaints,
        Crawl,
        FailAndGarble,
        LostKeeper,
        Choosy,
        MixedProof,
        EraseProof,
        FalseFirst,
        FalseZToOne,
        LieAfterLeaving,
        ReturnUnseen,
        FalseProof,
        LongestUpdate,
    )
}
"""The strategies by the names that ``--byzantine`` takes."""
