"""The parts of a peer in its federation: the node, what drives it, and what tells its user of it."""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from typing import Any

from ...crypto.identity.identity import Identity
from ...protocol.ledger.state import LedgerError
from ...protocol.limits import SYNC_BATCH_BLOCKS
from ...protocol.messages.kinds import CertifiedBlock
from ...protocol.node import Newcomer, Node
from ...protocol.records import Memory
from ..driving.driver import Driver
from ..driving.workers import Workers
from ..home.folder import Home
from ..home.sqlite import StoreError, damaged
from ..home.store import Reader, Store
from ..learning.row_owners import LastSum
from ..network.network import Network
from ..reporting.reporters import Reporter
from ..reporting.status import gone_names
from ..reporting.voids import newest_voids
from ..training.late_training import LateTraining
from ..training.trainer import Trainer
from .address_book import AddressBook
from .contributing import Contributing
from .link_reports import LinkReports
from .notice_teller import NoticeTeller
from .round_troubles import RoundTroubles
from .run_end import RunEnd
from .situation import Situation
from .stranger_log import StrangerLog, tell_each_minute
from .trouble_watch import TroubleWatch
from .way_in import WayIn


class Participant:
    """Makes the parts, each of the others that it needs, and holds those that the run and its status ask."""

    def __init__(
        self,
        way_in: WayIn,
        memory: Memory,
        *,
        home: Home,
        identity: Identity,
        store: Store,
        network: Network,
        ending: RunEnd,
        report: Reporter,
        tell: Callable[[str, str, dict[str, Any]], None],
    ) -> None:
        """Make the parts.

        Args:
            way_in: knows the federation, and what is trained.
            memory: what the store holds of the federation.
            home: the home of this peer.
            identity: its key.
            store: its store, which is open.
            network: its links.
            ending: how the run ends.
            report: shows its user what happens.
            tell: tells an event to all that listen; gets its kind, its text and its facts.

        Raises:
            StoreError: the ledger in the store is damaged.
        """
        genesis, learner = way_in.genesis, way_in.learner
        assert genesis is not None
        assert learner is not None
        newcomer = Newcomer(way_in.settings.name, genesis.model, way_in.invite, ending.rejoins)
        try:
            node = self.node = Node(identity, genesis, memory, newcomer)
        except LedgerError as error:
            raise StoreError(damaged(store.path, f"its ledger: {error}")) from None
        read_blocks = partial(_read_blocks, home)
        gone = self.gone = gone_names(node.state, memory.blocks)
        self.last_sum = LastSum(node.state, memory.blocks, read_blocks)
        self.situation = Situation(node, network, home, ending, gone)
        lateness = LateTraining(genesis.share_deadline_ms / 1000, way_in.settings.app_name)
        self.rounds = RoundTroubles(node, gone, newest_voids(memory.blocks), lateness, tell)
        # A home with totals in its ledger has trained before, and has told then what they show.
        is_first = node.state.height == 0 or node.state.totals is None
        clip = math.inf if genesis.bounds is not None else 2.0**genesis.clip_exponent
        self.trainer = Trainer(learner, clip, tells_oddities=is_first)
        consent, strangers = way_in.consent(genesis), StrangerLog()
        notices = NoticeTeller(
            node=node,
            network=network,
            home=home,
            consent=consent,
            ending=ending,
            rounds=self.rounds,
            last_sum=self.last_sum,
            strangers=strangers,
            gone=gone,
            clip_advice=self.trainer.clip_advice,
            tell=tell,
        )
        contribute = Contributing(node, consent, self.trainer, lateness, store)
        workers = Workers(contribute, self.trainer.prepare, read_blocks)
        self.driver = Driver(node, identity.public, store, network, workers, notices.on_notice)
        watch = TroubleWatch(self.situation, self.rounds, notices, tell, way_in.settings.dead_after)
        links = LinkReports(node, network, self.driver, strangers, report, tell, watch.look)
        self.book = AddressBook(store, network)
        self.beside: tuple[Callable[[], Awaitable[None]], ...] = (
            links.run,
            self.book.run,
            watch.run,
            partial(tell_each_minute, strangers, network, tell),
        )
        """What runs beside the driver."""


def _read_blocks(home: Home, start: int) -> tuple[CertifiedBlock, ...]:
    """Return decided blocks from a height on, at most SYNC_BATCH_BLOCKS."""
    with Reader.open(home.folder) as reader:
        blocks = islice(reader.blocks(start), SYNC_BATCH_BLOCKS)
        return tuple(CertifiedBlock(one.block, one.certificate) for one in blocks)
