"""How many liars can we take?

By the theorem ten peers bear f = 3 that lie. This script tries it: with up to four peers that send wrong sum shares,
and with as many that say nothing at all, how many rounds are still decided, and which peers are evicted?

Run: python examples/how_many_liars.py
"""

from coterie.topology import simulate

PEERS, ROUNDS = 10, 4


def main() -> None:
    """Add one liar after the other, and go one beyond what agreement bears."""
    for strategy in ("wrong-share", "silent"):
        print(f"{strategy}:")
        for liars in range(5):
            result = simulate(
                topology="complete",
                peers=PEERS,
                rounds=ROUNDS,
                byzantine=(f"{liars}:{strategy}",),
                beyond_f=True,
                ideal_crypto=True,
                limit_ms=400_000,
                seed=2,
            )
            void = sum(row.outcome == "void" for row in result.rounds)
            caught = f", evicted: {', '.join(result.evicted)}" if result.evicted else ""
            lasted = f", {result.seconds(0.5):.1f} s each" if result.decided else ""
            print(f"  {liars} of {PEERS}: {result.decided} of {ROUNDS} rounds decided, {void} void{lasted}{caught}")
    print("\nUp to f = 3 a wrong sum share costs nothing but its sender's membership. Silence costs time: the share")
    print(
        "deadline, and the views of absent aggregators. With four that send wrong shares there still are votes, but of"
    )
    print(
        "the K + f = 7 right sum shares that a sum takes only 6: all rounds are void. With four that are silent there"
    )
    print("are no 7 votes either: nothing is decided.")


if __name__ == "__main__":
    main()
