"""Secrecy: for each base model colluders learn one decided sum of the others' updates, and nothing more.

Every value that a share, a sum share or an opened sum gives away is a known linear function of the dealers' secrets and
random coefficients. So linear algebra over F_p tells what the colluders can compute: the combinations of secrets that
lie in the span of everything they saw.

The contributions of a member to one base model are *one* secret, however often it deals them. Its update, loss and
metrics are the same numbers in each repetition, as far as they follow from the model and its data. Its setup sums and
final metrics are the same whatever the model, also in a federation that continues another one. Two sums of one base
model therefore must not differ in honest members. Exactly:

* before a round's contributors are decided, colluders can compute nothing from what is dealt in it;
* after that they can compute nothing of the round but multiples of the sum over its contributors that do not collude;
* over all rounds on one base model, over all setup rounds, and over all rounds that add up final metrics, void or not,
  they can compute nothing but the multiples of one such sum. That sum has K+1 contributors or more, so it mixes the
  contributions of at least two members that do not collude.

Colluders know their own contributions, which therefore count as nothing: a repetition may leave out a liar. Liars show
what they see to curious members, which follow the protocol otherwise. Together they are K-1: so many may collude.
"""

import itertools
import random
from typing import TYPE_CHECKING, Final

from ...crypto.field import P
from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Contributors, read_block
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.contribution import metrics_of
from ...protocol.ledger.genesis import is_private
from ...protocol.ledger.state import LedgerState
from ...protocol.limits import MIN_TRAINING_MEMBERS
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Complaint, Proposal, SumShare, UpheldComplaint
from ...protocol.records import BlockDecided
from ..adversaries.forging import complained_of, shares_shown
from ..engine.site import Site
from .base import Checker

if TYPE_CHECKING:
    from ..engine.simulation import Simulation

Row = dict[tuple[bytes, int], int]
"""Coefficients by (name of a dealing, power of x); power 0 is the secret, under the key of its dealer instead."""

MOST_WITH_CURIOUS: Final = 16
"""Peers beyond which only liars collude: it takes long to look through everything that many members see."""

SETUP: Final = b""
"""Stands for the base model of setup sums, which follow from the data alone."""
FINAL: Final = b"final metrics"
"""Stands for the base model of final metrics, which may follow from the data alone."""


class Seen:
    """Everything that colluders have seen of one round."""

    def __init__(self, members: tuple[bytes, ...], threshold: int) -> None:
        self.members, self.threshold = members, threshold
        self.shares: set[tuple[bytes, bytes, int]] = set()
        """Dealer, name of the dealing, and place of the holder."""
        self.sums: set[tuple[bytes, int]] = set()
        """Digest of the contributors and place of the holder."""
        self.opened: set[bytes] = set()
        """Digests of the contributors whose sum was shown."""


class Secrecy(Checker):
    """Collects what colluders see, and tests ranks when contributors are decided and at the end.

    ``carried``: what the run of an earlier federation with the same data has given away (its :attr:`given_away`).
    """

    name = "secrecy"

    def __init__(self, carried: "dict[bytes, list[Row]] | None" = None) -> None:
        self._carried = carried or {}

    def on_begin(self, simulation: "Simulation") -> None:
        super().on_begin(simulation)
        self._is_secret = is_private(simulation.setup.genesis.scheme)
        self._liars = {site.key for site in simulation.sites if not site.is_honest}
        self._colluders = self._liars | {site.key for site in curious(simulation)}
        self._seen: dict[int, Seen] = {}
        self._bases: dict[int, tuple[bytes, ...]] = {}
        """By round: the base models of the contributions that are dealt in it."""
        self._bodies: dict[bytes, Contributors] = {}
        self._decided: dict[int, bytes] = {}

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not step.persist or not self._is_secret or not site.is_honest:
            return
        for record in step.persist:
            if isinstance(record, BlockDecided):
                body = read_block(record.block).body
                if isinstance(body, Contributors):
                    self._learn_of(site, body)
                    if body.digest() in self._bodies and body.round not in self._decided:
                        self._check(body.round)  # before the decision not even a sum may be known
                        self._decided[body.round] = body.digest()

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        said = message.message
        if not self._is_secret or message.sender in self._colluders:
            return
        if isinstance(said, Proposal):
            self._on_proposal(site, said)
        elif receiver.key in self._colluders:
            if isinstance(said, SumShare):
                self._on_sum(site, said)
            else:
                for round_, dealer, name, place in shares_shown(site, receiver, said):
                    seen = self._seen_of(site, round_)
                    if dealer not in self._colluders and seen.members[place] in self._colluders:
                        seen.shares.add((dealer, name, place))
        if isinstance(said, Complaint | UpheldComplaint):
            accused = complained_of(site, said)
            if accused is not None and accused not in self._liars:
                raise self.violated(f"{site.label} revealed its share of {self.simulation.by_key[accused].label}")

    def on_end(self) -> None:
        for round_ in sorted(self._seen):
            self._check(round_)
        for base in sorted({*itertools.chain(*self._bases.values()), *self._carried}):
            self._check_base(base)

    @property
    def given_away(self) -> dict[bytes, list[Row]]:
        """By base model: the combinations of honest members' secrets that colluders can compute by now."""
        found: dict[bytes, list[Row]] = {base: list(rows) for base, rows in self._carried.items()}
        for round_, bases in self._bases.items():
            for base in bases:
                found.setdefault(base, []).extend(self._learned(round_))
        return found

    # -- what is seen

    def _seen_of(self, site: Site, round_: int) -> Seen:
        node = site.node
        assert node is not None
        if round_ not in self._seen:
            state = node.state
            committee = node.ctx.sharing.committee if node.ctx.sharing else state.committee
            self._seen[round_] = Seen(committee.members, committee.threshold)
            self._bases[round_] = _bases_of(state)
        return self._seen[round_]

    def _learn_of(self, site: Site, body: Contributors) -> None:
        node = site.node
        if body.digest() not in self._bodies and node is not None and node.state.round == body.round:
            self._bodies[body.digest()] = body
            self._seen_of(site, body.round)

    def _on_proposal(self, site: Site, said: Proposal) -> None:
        """Note a proposed set of contributors by its digest; the proposal that ends a round also shows the sum."""
        if said.vector_hash is not None and site.node is not None:
            decided = site.node.state.contributors
            if decided is not None:
                self._learn_of(site, decided)
                if self._colluders:
                    self._seen_of(site, decided.round).opened.add(decided.digest())
            return
        try:
            body = read_block(said.block).body
        except ValueError:
            return
        if isinstance(body, Contributors):
            self._learn_of(site, body)

    def _on_sum(self, site: Site, said: SumShare) -> None:
        seen = self._seen_of(site, said.round)
        if said.contributors in self._bodies:
            seen.sums.add((said.contributors, seen.members.index(site.key)))

    # -- what follows from it

    def _learned(self, round_: int) -> list[Row]:
        """Return a basis of the combinations of a round's secrets that colluders can compute.

        Mostly they have fewer than K shares of each dealing, and sum shares over one set of contributors only. Then
        they can know only the sum over that set, and know it once they have K points of its polynomial. Other cases
        need elimination.
        """
        seen = self._seen.get(round_)
        if seen is None:
            return []
        named = {digest for digest, _ in seen.sums} | seen.opened
        if not named:
            places = {place for _, _, place in seen.shares}
            if len(places) < seen.threshold:
                return []
        elif len(named) == 1:
            places = {place for _, _, place in seen.shares}
            if len(places) < seen.threshold:
                body = self._bodies[next(iter(named))]
                dealt = [(seen.members[dealer], name) for dealer, name in body.dealers]
                honest = [one for one in dealt if one[0] not in self._colluders]
                points = {place for _, place in seen.sums}
                points |= {place for place in places if all((*one, place) in seen.shares for one in honest)}
                is_open = bool(seen.opened) or len(points) >= seen.threshold
                return [{(dealer, 0): 1 for dealer, _ in honest}] if is_open and honest else []
        return _secrets_in_span(self._rows(seen))

    def _rows(self, seen: Seen) -> list[Row]:
        rows = [_share(dealer, name, place + 1, seen.threshold) for dealer, name, place in sorted(seen.shares)]
        for digest, place in sorted(seen.sums):
            row: Row = {}
            for dealer, name in self._bodies[digest].dealers:
                if seen.members[dealer] not in self._colluders:
                    row |= _share(seen.members[dealer], name, place + 1, seen.threshold)
            rows.append(row)
        return rows + [self._honest_sum(seen, digest) for digest in sorted(seen.opened)]

    def _honest_sum(self, seen: Seen, digest: bytes) -> Row:
        members = (seen.members[dealer] for dealer, _ in self._bodies[digest].dealers)
        return {(member, 0): 1 for member in members if member not in self._colluders}

    def _check(self, round_: int) -> None:
        learned, allowed = self._learned(round_), {}
        if learned and round_ in self._decided:
            allowed = self._honest_sum(self._seen[round_], self._decided[round_])
        for row in learned:
            if not allowed or not _is_multiple(row, allowed):
                raise self.violated(
                    f"in round {round_} colluders can compute a combination of the updates of {self._names(row)}"
                )

    def _check_base(self, base: bytes) -> None:
        rounds = sorted(round_ for round_, bases in self._bases.items() if base in bases)
        learned = [*self._carried.get(base, []), *(row for round_ in rounds for row in self._learned(round_))]
        if len(learned) < 2 or all(row == learned[0] for row in learned):
            return
        basis = _secrets_in_span(learned)
        if len(basis) > 1:
            least = min(_differences(learned) + basis, key=len)
            what = {SETUP: "setup sums", FINAL: "final metrics"}.get(base, "updates")
            where = "whatever the model" if base == FINAL else "on one base model"
            raise self.violated(
                f"the sums of rounds {rounds}, {where}, give away a combination of the {what} of {self._names(least)}"
            )

    def _names(self, row: Row) -> str:
        known = self.simulation.by_key
        return ", ".join(sorted(str(known[dealer].label) if dealer in known else "one gone" for dealer, _ in row))


def _bases_of(state: LedgerState) -> tuple[bytes, ...]:
    if state.kind == "setup":
        return (SETUP,)
    final = {*metrics_of(state.genesis, state.kind, state.tells_final)} & {*state.genesis.final_metrics}
    return (state.weights_hash, FINAL) if final else (state.weights_hash,)


def curious(simulation: "Simulation") -> list[Site]:
    """Return honest sites that collude with the liars, and follow the protocol otherwise.

    Together with the liars they are K-1 at most, in every committee that the run may have: liars are evicted, members
    leave and arrive. There are none in large federations, nor where members may be evicted as silent, since any
    committee may be left then.
    """
    genesis, seed = simulation.setup.genesis, simulation.seed
    members = [site for site in simulation.sites if site.number not in simulation.setup.late]
    liars = [site for site in members if not site.is_honest]
    honest = [site for site in members if site.is_honest]
    may_be_silent = 0 < genesis.evict_after_rounds <= simulation.setup.rounds
    if may_be_silent or len(simulation.sites) > MOST_WITH_CURIOUS:
        return []
    spare = len(honest)
    missing = simulation.leavers if simulation.setup.is_founded else len(members) - MIN_TRAINING_MEMBERS
    for gone in range(len(liars) + 1):
        for change in range(-missing, len(simulation.setup.late) + 1):
            n = len(members) - gone + change
            if n >= MIN_TRAINING_MEMBERS:
                keys = tuple(number.to_bytes(2, "big") for number in range(n))
                spare = min(spare, Committee(keys, genesis.threshold).threshold - 1 - (len(liars) - gone))
    random.Random(f"curious {seed}").shuffle(honest)
    return honest[: max(0, spare)]


def _differences(rows: list[Row]) -> list[Row]:
    """Return the differences of all pairs of sums that differ."""
    pairs = [_minus(one, other, 1) for index, one in enumerate(rows) for other in rows[index + 1 :]]
    return [row for row in pairs if row]


def _share(dealer: bytes, root: bytes, x: int, threshold: int) -> Row:
    """Return a share as a function of the secret and the K - 1 random coefficients of its dealing."""
    return {(dealer, 0): 1} | {(root, power): pow(x, power, P) for power in range(1, threshold)}


def _secrets_in_span(rows: list[Row]) -> list[Row]:
    """Return a basis of those combinations of the rows that contain secrets alone, no random coefficients.

    This is Gaussian elimination over F_p, with the random coefficients first: the rows left then contain only secrets.
    """
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
