"""Secrecy: of the honest updates, the adversary learns the decided sum and nothing else.

Every value that a share, a sum share or an opened sum gives away is a known linear function of the dealers'
secrets and random coefficients. So what the adversary's whole view determines is a question of linear algebra
over F_p: the secrets' combinations in the span of all that it saw. There may be one a round, the sum over the
honest contributors that were decided, and it is there only after the decision.
"""

from typing import TYPE_CHECKING

from ...crypto.field import P
from ...protocol.blocks import Contributors, read_block
from ...protocol.envelope import Verified
from ...protocol.events import Event, Step
from ...protocol.messages import Complaint, Deal, Proposal, SumShare
from ...protocol.records import BlockDecided
from ..site import Site
from .base import Checker

if TYPE_CHECKING:
    from ..simulation import Simulation

Row = dict[tuple[bytes, int], int]
"""Coefficients by (root of a dealing, power of x); power 0 is the secret, by its dealer."""


class Secrecy(Checker):
    """Collects what liars see, and tests ranks at the end."""

    name = "secrecy"

    def on_begin(self, simulation: "Simulation") -> None:
        super().on_begin(simulation)
        self._is_secret = simulation.setup.genesis.scheme != "plain"
        self._liars = {site.key for site in simulation.sites if not site.is_honest}
        self._rows: dict[int, list[Row]] = {}
        self._known: set[tuple[int, bytes, bytes]] = set()
        self._bodies: dict[bytes, tuple[Contributors, tuple[bytes, ...], int]] = {}
        self._decided: dict[int, bytes] = {}

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        for record in step.persist:
            if isinstance(record, BlockDecided) and site.is_honest:
                body = read_block(record.block).body
                if isinstance(body, Contributors):
                    self._learn_of(site, body)
                    if body.round not in self._decided:  # until now, not even a sum
                        self._check(body.round, self._rows.get(body.round, []))
                    self._decided[body.round] = body.digest()

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        said = message.message
        if not self._is_secret:
            return
        if isinstance(said, Proposal) and site.node is not None:
            self._on_proposal(site, receiver, message, said)
        elif isinstance(said, Deal) and receiver.key in self._liars and message.sender not in self._liars:
            self._on_share(site, said.round, message.sender, said.root, receiver.key)
        elif isinstance(said, SumShare) and receiver.key in self._liars and message.sender not in self._liars:
            self._on_sum(said, message.sender)
        elif isinstance(said, Complaint) and message.sender not in self._liars and site.node is not None:
            dealer = site.node.state.committee.members[said.dealer]
            if dealer not in self._liars:
                raise self.violated(f"{site.label} revealed its share of {self.simulation.by_key[dealer].label}")

    def on_end(self) -> None:
        for round_, rows in sorted(self._rows.items()):
            self._check(round_, rows)

    # -- what is seen

    def _learn_of(self, site: Site, body: Contributors) -> None:
        assert site.node is not None
        committee = site.node.ctx.sharing.committee if site.node.ctx.sharing else site.node.state.committee
        self._bodies.setdefault(body.digest(), (body, committee.members, committee.threshold))

    def _on_proposal(self, site: Site, receiver: Site, message: Verified, said: Proposal) -> None:
        try:
            body = read_block(said.block).body
        except ValueError:
            return
        if isinstance(body, Contributors):
            self._learn_of(site, body)
        elif said.vector is not None and self._liars and site.is_honest and site.node is not None:
            decided = site.node.state.contributors
            if decided is not None and (decided.round, b"sum", said.vector) not in self._known:
                self._known.add((decided.round, b"sum", said.vector))
                row: Row = {}
                _, members, _ = self._bodies[decided.digest()]
                for dealer, _ in decided.dealers:
                    if members[dealer] not in self._liars:
                        row[(members[dealer], 0)] = 1
                self._rows.setdefault(decided.round, []).append(row)

    def _on_share(self, site: Site, round_: int, dealer: bytes, root: bytes, holder: bytes) -> None:
        assert site.node is not None
        committee = site.node.state.committee
        index = committee.index(holder)
        if index is not None and (round_, root, holder) not in self._known:
            self._known.add((round_, root, holder))
            self._rows.setdefault(round_, []).append(_share(dealer, root, index + 1, committee.threshold))

    def _on_sum(self, said: SumShare, holder: bytes) -> None:
        if said.contributors not in self._bodies or (said.round, said.contributors, holder) in self._known:
            return
        self._known.add((said.round, said.contributors, holder))
        body, members, threshold = self._bodies[said.contributors]
        row: Row = {}
        for dealer, root in body.dealers:
            if members[dealer] not in self._liars:
                row |= _share(members[dealer], root, members.index(holder) + 1, threshold)
        self._rows.setdefault(said.round, []).append(row)

    # -- what follows from it

    def _check(self, round_: int, rows: list[Row]) -> None:
        learned = _secrets_in_span(rows)
        allowed: Row = {}
        if round_ in self._decided:
            body, members, _ = self._bodies[self._decided[round_]]
            allowed = {(members[i], 0): 1 for i, _ in body.dealers if members[i] not in self._liars}
        for row in learned:
            if not allowed or not _is_multiple(row, allowed):
                names = sorted(str(self.simulation.by_key[dealer].label) for dealer, _ in row)
                raise self.violated(
                    f"in round {round_} liars can compute a combination of the updates of {', '.join(names)}"
                )


def _share(dealer: bytes, root: bytes, x: int, threshold: int) -> Row:
    """A share as a function of the secret and the K - 1 random coefficients of its dealing."""
    return {(dealer, 0): 1} | {(root, power): pow(x, power, P) for power in range(1, threshold)}


def _secrets_in_span(rows: list[Row]) -> list[Row]:
    """Eliminate the random coefficients first; the rows that are left are about secrets alone."""
    order = sorted({column for row in rows for column in row}, key=lambda column: (column[1] == 0, column))
    left = [dict(row) for row in rows]
    for column in order:
        if column[1] == 0:
            break
        pivot = next((row for row in left if row.get(column)), None)
        if pivot is None:
            continue
        left.remove(pivot)
        scale = pow(pivot[column], P - 2, P)
        left = [_minus(row, pivot, row[column] * scale % P) if row.get(column) else row for row in left]
    reduced: list[Row] = []
    for column in order:
        if column[1]:
            continue
        pivot = next((row for row in left if row.get(column)), None)
        if pivot is None:
            continue
        left.remove(pivot)
        scale = pow(pivot[column], P - 2, P)
        left = [_minus(row, pivot, row[column] * scale % P) if row.get(column) else row for row in left]
        reduced.append({key: value for key, value in pivot.items() if value})
    return reduced


def _minus(row: Row, pivot: Row, factor: int) -> Row:
    changed = dict(row)
    for column, value in pivot.items():
        rest = (changed.get(column, 0) - factor * value) % P
        if rest:
            changed[column] = rest
        else:
            changed.pop(column, None)
    return changed


def _is_multiple(row: Row, of: Row) -> bool:
    return row.keys() == of.keys() and len(set(row.values())) == 1
