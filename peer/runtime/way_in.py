"""How a run comes into its federation: its home remembers it, it founds one, or members at given addresses show it."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import trio

from ...crypto.identity.identity import Identity
from ...protocol.ledger.genesis import Genesis, GenesisError, read_genesis
from ...protocol.ledger.tickets import Invite
from ...protocol.records import ModelSaved
from ..errors import Exit, PeerError
from ..federation.consent import Consent
from ..federation.founding import found
from ..federation.invites import open_invite
from ..federation.joining import find_genesis
from ..home.facts import GENESIS, SETTINGS
from ..home.folder import APP_FOLDER, Home
from ..home.settings import Settings
from ..home.store import Store
from ..learning.app import AppError
from ..learning.learner import Learner
from ..network.address_text import dial_place
from ..network.network import Network
from ..reporting.reporters import Reporter, describe
from ..reporting.status import unreadable_genesis
from ..training.trainer import (
    DataProblem,
    check_initial_weights,
    check_source,
    founder_learner,
    member_learner,
    published_classes,
    told_table,
)

T = TypeVar("T")


class WayIn:
    """Looks for the federation of a run, and holds what was found.

    Begin with :meth:`remember`. If there is no genesis then, :meth:`find` asks the network.
    """

    def __init__(self, home: Home, settings: Settings, identity: Identity, store: Store, report: Reporter) -> None:
        """Prepare the search; the arguments are those of :class:`.session.Session`."""
        self.genesis: Genesis | None = None
        """The federation; None until it is known."""
        self.learner: Learner | None = None
        """What is trained; None until the federation is known."""
        self.invite: Invite | None = None
        self.trouble = ""
        """Why the federation was not found at the last attempt."""
        self.kept_search: list[str] = []
        """Options of an earlier start that still say where a federation is looked for."""
        self.is_reading = False
        """A thread reads a table or loads an app, and its result is not needed any more."""
        self._founded: ModelSaved | None = None
        """The initial model, if this very run founds the federation; None once it is stored."""
        self._has_told_table = False
        self._home = home
        self.settings = settings
        """The options. Port 0 is replaced by the port that was chosen once the peer listens."""
        self._identity = identity
        self._store = store
        self._report = report

    def open_invite(self) -> None:
        """Read the invite, if a federation is still to be found with it.

        Raises:
            PeerError: it is no invite, or has expired.
        """
        if self.settings.invite is not None and self._store.fact(GENESIS) is None:
            self.invite = open_invite(self.settings.invite, _now_ms())

    @property
    def wanted(self) -> bytes | None:
        """The id of the federation that the invite names; None without an invite."""
        return None if self.invite is None else self.invite.terms.federation

    def addresses(self) -> tuple[str, ...]:
        """Return the multiaddrs at which the federation is looked for."""
        given = tuple(dial_place(text) for text in self.settings.bootstrap)
        invited = () if self.invite is None else self.invite.addresses
        return tuple(dict.fromkeys((*given, *invited)))

    async def remember(self) -> None:
        """Take the federation from the store, or found one where there is none to join.

        Raises:
            PeerError: a problem that only the user can solve.
        """
        remembered = self._store.fact(GENESIS)
        if remembered is not None:
            await self._take_remembered(remembered)
        elif not self.settings.joins:
            await self._found()
        else:
            # What can be checked before a federation is found is checked now.
            if self.settings.continues is not None:
                from ..federation.refounding import check_old_home

                await trio.to_thread.run_sync(check_old_home, Home(Path(self.settings.continues)))
            await self._read(check_source, self.settings)

    async def _take_remembered(self, remembered: bytes) -> None:
        try:
            self.genesis = read_genesis(remembered)
        except GenesisError as error:
            raise unreadable_genesis(self._store.path, error) from None
        self._check_invite(self.genesis)
        self.consent(self.genesis).check_genesis()
        self.learner = await self._make(member_learner, self.settings, self.genesis)
        check_initial_weights(self.learner, self.genesis)

    async def _found(self) -> None:
        self.learner = await self._make(founder_learner, self.settings)
        self.genesis, self._founded = found(self.settings, self._identity, self.learner, _now_ms())
        if (told := published_classes(self.learner)) is not None:
            self._report.event("classes", told, {})
        await self._tell_table()

    async def find(self, network: Network) -> None:
        """Wait until a member shows its federation; check it, and keep it.

        Raises:
            PeerError: a problem that only the user can solve.
        """
        text = "looking for the federation"
        if self.kept_search:
            text += f"; kept in this home from an earlier start: {', '.join(self.kept_search)}"
        self._report.event("joining", text, {"addresses": list(self.addresses()), "kept": self.kept_search})
        genesis = await find_genesis(network, self._tell_search, self.wanted)
        self.consent(genesis).check_genesis()
        if self.settings.continues is not None:
            from ..federation.refounding import check_continued

            old = Home(Path(self.settings.continues))
            await trio.to_thread.run_sync(check_continued, genesis, old, self._identity.public)
        self.learner = await self._make(member_learner, self.settings, genesis)
        check_initial_weights(self.learner, genesis)
        self.genesis = genesis
        self.keep()
        await self._tell_table()
        network.introduce(genesis.federation, genesis.encode())
        text = f"found the federation {genesis.name!r}"
        if genesis.previous is not None and self.settings.continues is None:
            text += (
                f", which continues another one ({genesis.previous.hex()[:16]}…). If this peer was a member there,"
                " begin again with --continues and its old home, to compare them"
            )
        self._report.event("found", text, {"federation": genesis.federation, "name": genesis.name})

    def keep(self) -> None:
        """Keep settings and federation in the store, once they have proved usable: a mistyped start leaves no trace."""
        self._store.keep(SETTINGS, self.settings.encode())
        if self._founded is not None:
            self._store.persist([self._founded])
            self._founded = None
        if self.genesis is not None:
            self._store.keep(GENESIS, self.genesis.encode())

    def consent(self, genesis: Genesis) -> Consent:
        """Return what compares a federation with what the operator of this peer has accepted."""
        return Consent(genesis, self.settings, self._home, genesis.founder == self._identity.public)

    async def tell_table_once(self) -> None:
        """Sum up what was read, unless that was told, so that the user sees a wrong file or column before training."""
        if not self._has_told_table:
            await self._tell_table()

    async def _tell_table(self) -> None:
        self._has_told_table = True
        if self.learner is not None:
            told = await trio.to_thread.run_sync(told_table, self.learner)
            if told is not None:
                self._report.event("table", told, {})

    def _check_invite(self, genesis: Genesis) -> None:
        if self.settings.invite is None:
            return
        with suppress(PeerError):
            # A member needs no invite, so it does no harm if its invite was used up or has expired.
            self.invite = open_invite(self.settings.invite, 0)
        if self.invite is not None and self.invite.terms.federation != genesis.federation:
            raise PeerError(
                f"--invite: it is for another federation than the one of {self._home.folder}; use a new --home",
                Exit.FEDERATION,
            )

    def _tell_search(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Tell why no federation is found yet, and keep it for the status."""
        self.trouble = describe(text, facts)
        self._report.event(kind, text, facts)

    async def _read(self, function: Callable[..., T], *arguments: object) -> T:
        """Read a table or load an app in a thread, for which a user who stops the peer does not have to wait."""
        # The type stubs that come with libp2p describe an older trio.
        run: Any = trio.to_thread.run_sync
        try:
            result: T = await run(function, *arguments, abandon_on_cancel=True)
        except trio.Cancelled:
            self.is_reading = True
            raise
        return result

    async def _make(self, function: Callable[..., Learner], *arguments: object) -> Learner:
        """Return the learner that ``function`` makes, which may keep files in the home.

        Raises:
            DataProblem: the app cannot use the folder that it is given.
            Exception: an exception of ``function``.
        """
        learner = await self._read(function, *arguments)
        try:
            await self._read(learner.keep_in, self._home.folder / APP_FOLDER)
        except AppError as error:
            raise DataProblem(str(error)) from error
        return learner


def _now_ms() -> int:
    return int(time.time() * 1000)
