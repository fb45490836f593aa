"""What an operator has to accept before its peer takes part: a scheme that hides nothing, or a low threshold.

The founder chooses both for everybody, and its choice is its consent. The operator of every other member accepts with
an option of `peer start`, which is kept in the home.
"""

from dataclasses import dataclass

from ...protocol.ledger.committee import Committee
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.privacy import PROMISES
from ..errors import Exit, PeerError
from ..home.folder import Home
from ..home.settings import Settings, allowing


class NoConsent(PeerError):
    """The operator has not accepted a choice of the founder. The message names the choice and what to type."""

    code = Exit.CONSENT


@dataclass(frozen=True, slots=True)
class Consent:
    """Compares what a federation's founder chose with what this peer's operator accepted."""

    genesis: Genesis
    settings: Settings
    home: Home
    is_founder: bool

    def check_genesis(self) -> None:
        """Check what the genesis alone says: the scheme, and K for the ``min_peers`` members that training waits for.

        Raises:
            NoConsent: the operator has not accepted one of them.
        """
        members = tuple(index.to_bytes(32, "big") for index in range(self.genesis.min_peers))
        self.check(Committee(members, self.genesis.threshold))

    def check(self, committee: Committee) -> None:
        """Check the scheme, and K for a round of this committee.

        A peer contributes nothing to a round that this refuses.

        Raises:
            NoConsent: the operator has not accepted one of them.
        """
        if self.is_founder:
            return
        scheme = self.genesis.scheme
        if PROMISES[scheme].needs_consent and scheme not in self.settings.accepted:
            told = PROMISES[scheme].told(committee.threshold)
            raise NoConsent(f"{told}. {self._to_accept(allow_option(scheme))}")
        accepted = self.settings.allow_threshold
        needed, default = committee.threshold, committee.default_threshold
        if needed < default and not 0 < accepted <= needed:
            raise NoConsent(
                f"the founder chose that {needed} members of {committee.n} together can open an update, where the"
                f" default is {default}. {self._to_accept(f'--allow-threshold {needed}')}"
            )

    def _to_accept(self, option: str) -> str:
        return f"To take part all the same, type: peer start {self.home.option} {option} (and your other options)"


def allow_option(scheme: str) -> str:
    """Return the option with which an operator accepts a scheme."""
    return f"--{allowing(scheme)}".replace("_", "-")


def needed_options(genesis: Genesis) -> tuple[str, ...]:
    """Return the options with which a joiner accepts the scheme, and K for ``min_peers`` members, where needed."""
    members = tuple(index.to_bytes(32, "big") for index in range(genesis.min_peers))
    committee = Committee(members, genesis.threshold)
    options = [allow_option(genesis.scheme)] if PROMISES[genesis.scheme].needs_consent else []
    if committee.threshold < committee.default_threshold:
        options.append(f"--allow-threshold {committee.threshold}")
    return tuple(options)


def join_note(genesis: Genesis) -> str:
    """Say what joiners have to accept, and with which options; empty if there is nothing to accept.

    It is told beside the line that they paste, and is no part of it.
    """
    options = needed_options(genesis)
    if not options:
        return ""
    members = tuple(index.to_bytes(32, "big") for index in range(genesis.min_peers))
    told = Committee(members, genesis.threshold).explain(genesis.scheme)
    return f"they have to accept that ({told}) by adding: {' '.join(options)}"
