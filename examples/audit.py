"""Can somebody from outside check a federation, and see who contributed to what?

Seven sites train a model in the simulator: one crashes for a while, one leaves, one falsifies its sums and is evicted.
One of them exports its ledger to a file. An outsider has only this file, and from any other member the federation's id
and the hash of its newest block. It checks the file with the code of `peer ledger verify`. Then forgeries are planted
in copies of the file, in blocks that the seed chooses; the audit has to find every one. The exit status is 0 only if it
does.

What an outsider cannot see is a lie that a quorum of the members agrees on: what they signed it takes for true.

Run: python examples/audit.py [--out FILE.png] [--rounds N]
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import networkx as nx
from telling import arguments, picture, table

from coterie.peer.reporting import ledger_export, ledger_rows
from coterie.protocol.ledger.blocks import Contributors, block_hash, read_block
from coterie.protocol.ledger.state import LedgerState
from coterie.protocol.messages.encoding import encode
from coterie.protocol.messages.envelope import seal
from coterie.protocol.messages.kinds import CertifiedBlock, Precommit
from coterie.topology.engine.founded_ledger import identity_of, make_genesis
from coterie.topology.engine.learning import Learning
from coterie.topology.engine.simulation import Setup, Simulation
from coterie.topology.faults.faults import Outage, Outages
from coterie.topology.faults.joins_and_leaves import Coming, Comings
from coterie.topology.network.graphs import fill
from coterie.topology.options import place_liars
from coterie.topology.reporting.pictures import BLUE, GREY, ORANGE, RED

NAMES = ("Aarhus", "Bologna", "Coimbra", "Dresden", "Eindhoven", "Freiburg", "Ghent")
LIAR, CRASHES, LEAVES = "Dresden", "Coimbra", "Freiburg"
SEED, LIMIT_MS = 4, 120_000
Blocks = list[CertifiedBlock]


def federation(rounds: int, name: str) -> ledger_export.Ledger:
    """Let the sites train; returns the founder's ledger."""
    learning = Learning("digits", len(NAMES), seed=SEED)
    values = {"metrics": ("accuracy",), "rounds": rounds, "name": name, "founder_name": NAMES[0], "min_peers": 5}
    genesis, weights = make_genesis(learning.parameters, len(NAMES), **values)
    setup = Setup(genesis, weights, SEED, rounds, is_founded=False, trainer=learning)
    simulation = Simulation(fill(nx.relabel_nodes(nx.complete_graph(len(NAMES)), dict(enumerate(NAMES))), SEED), setup)
    place_liars(simulation, (f"{LIAR}=wrong-share",))
    simulation.watch(Outages((Outage(CRASHES, 4_000, 5_000),)))
    simulation.watch(Comings((Coming(NAMES.index(LEAVES), 10_000, leaves=True),)))
    if not simulation.run(LIMIT_MS):
        raise SystemExit("the federation did not finish")
    blocks = [CertifiedBlock(one.block, one.certificate) for one in simulation.sites[0].disk.blocks]
    return ledger_export.Ledger(name, genesis, blocks)


def export(ledger: ledger_export.Ledger, path: Path) -> Path:
    """Write a ledger to a file, as `peer ledger export` does."""
    with path.open("wb") as file:
        ledger_export.write(ledger, file)
    return path


def audit(path: Path, federation_id: bytes, head: bytes) -> tuple[LedgerState | None, str]:
    """Check an exported file against what another member told. Returns its state, and what is wrong with it."""
    try:
        state = ledger_export.verify(ledger_export.of_file(path))
    except ledger_export.Invalid as invalid:
        return None, str(invalid).removeprefix(f"{path}: ")
    if state.federation != federation_id:
        return None, "valid, but another federation's"
    return (
        (state, "") if state.head == head else (None, f"valid, but it ends at height {state.height} with another block")
    )


def forgeries(ledger: ledger_export.Ledger, rng: random.Random) -> Iterator[tuple[str, ledger_export.Ledger]]:
    """Copies of a ledger with something forged in each."""
    blocks: Blocks = list(ledger.blocks)
    sums = [place for place, one in enumerate(blocks) if isinstance(read_block(one.block).body, Contributors)]
    place = rng.choice(sums)
    block = read_block(blocks[place].block)
    assert isinstance(block.body, Contributors)
    dealers = list(block.body.dealers)
    del dealers[rng.randrange(len(dealers))]
    body = Contributors(block.body.round, block.body.scheme, block.body.base_hash, tuple(dealers), block.body.holders)
    false = encode(type(block)(block.height, block.previous, body))
    vote, federation_id, count = Precommit(block_hash(false)), ledger.genesis.federation, len(blocks[place].certificate)

    def with_block(certificate: Sequence[bytes]) -> ledger_export.Ledger:
        changed = CertifiedBlock(false, tuple(certificate))
        return replace(ledger, blocks=[*blocks[:place], changed, *blocks[place + 1 :]])

    liar = identity_of(NAMES.index(LIAR))
    strangers = sorted((identity_of(100 + number) for number in range(count)), key=lambda one: one.public)
    height, cut = block.height, rng.randrange(len(blocks) - 1)
    yield "a contributor is struck out", with_block(blocks[place].certificate)
    yield "the liar signs that, for all", with_block([seal(liar, federation_id, height, 0, vote)] * count)
    yield "strangers sign that", with_block([seal(one, federation_id, height, 0, vote) for one in strangers])
    yield "a block is left out", replace(ledger, blocks=blocks[:cut] + blocks[cut + 1 :])
    yield "two blocks change places", replace(ledger, blocks=[*blocks[:-2], blocks[-1], blocks[-2]])
    yield "the last blocks are cut off", replace(ledger, blocks=blocks[: -rng.randint(1, 4)])


def contributions(ledger: ledger_export.Ledger) -> tuple[list[int], dict[str, str]]:
    """The rounds, and a letter for each member and round: c contributed, h held shares only, m away, - no member."""
    members: dict[str, str] = {}
    rounds: list[int] = []
    marks: dict[str, str] = {}
    for row in ledger_rows.rows(ledger):
        if row["kind"] == "genesis":
            members[row["founder"]] = ledger.genesis.founder_name
        for change in row.get("changes", ()):
            if change["change"] == "join":
                members[change["peer"]] = change["name"]
            else:
                del members[change["peer"]]
        if row["kind"] == "contributors":
            rounds.append(row["round"])
            for peer, name in members.items():
                did = "c" if peer in row["contributors"] else "h" if peer in row["holders"] else "m"
                marks[name] = marks.get(name, "").ljust(len(rounds) - 1, "-") + did
    return rounds, {name: marks[name].ljust(len(rounds), "-") for name in sorted(marks)}


def main() -> None:
    """Export, check, forge, check again, and tell who contributed."""
    given = arguments(__doc__, rounds=(12, "to train"))
    with tempfile.TemporaryDirectory() as folder:
        ledger, path = federation(given.rounds, "seven sites"), Path(folder) / "ledger"
        expected = ledger.genesis.federation, block_hash(list(ledger.blocks)[-1].block)
        state, wrong = audit(export(ledger, path), *expected)
        if state is None:
            raise SystemExit(f"the ledger does not verify: {wrong}")
        exported = ledger_export.of_file(path)
        size, count = path.stat().st_size, state.height + 1
        print(f"the exported file: {size:,} bytes, {count} blocks, valid; {state.trained} rounds trained")
        rounds, marks = contributions(replace(exported, blocks=list(exported.blocks)))
        other = federation(given.rounds, "seven others")
        planted = [*forgeries(ledger, random.Random(SEED)), ("all of it is made anew", other)]
        found = [(what, audit(export(forged, path), *expected)[1]) for what, forged in planted]
    table("forgeries", ("planted", "found"), [(what, wrong or "NO") for what, wrong in found])
    letters = ("c", "h", "m")
    rows = [(name, *(said.count(one) for one in letters), " ".join(said)) for name, said in marks.items()]
    columns = ("member", "contributed", "held only", "away", f"rounds {rounds[0]} to {rounds[-1]}")
    table("who contributed to what (c), only held shares (h), was away (m), was no member (-)", columns, rows)
    draw(given.out, rounds, marks)
    if not all(wrong for _, wrong in found):
        raise SystemExit("a forgery was not found")


def draw(out: Path | None, rounds: list[int], marks: dict[str, str]) -> None:
    """A line for each member, a mark for each round."""
    kinds = {"c": ("s", BLUE, "contributed"), "h": ("D", ORANGE, "only held shares"), "m": ("x", RED, "was away")}
    kinds |= {"-": (".", GREY, "no member")}
    names = list(marks)
    with picture(out, height=3.8, width=9) as axes:
        for axis in axes:
            for letter, (marker, colour, called) in kinds.items():
                places = [
                    (rounds[x], y) for y, name in enumerate(names) for x, one in enumerate(marks[name]) if one == letter
                ]
                if places:
                    axis.scatter(*zip(*places, strict=True), marker=marker, s=70, color=colour, label=called)
            axis.set_yticks(range(len(names)), names)
            axis.invert_yaxis()
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set(xlabel="round", ylabel="member", title="Who contributed to what, by the ledger")
            axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))


if __name__ == "__main__":
    main()
