"""The strategy of that name, with a configuration of its own and an evaluation on the server."""

import numpy as np
from flwr import serverapp
from flwr.app import Array, ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


class Halving(FedAvg):
    """What no member could know of."""


def evaluate_centrally(server_round: int, arrays: ArrayRecord) -> None:
    """What a server would do with data of its own."""
    raise AssertionError("there is no server")


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Start the strategy."""
    kind = context.run_config["strategy"]
    strategy = Halving() if kind == "Halving" else getattr(serverapp.strategy, kind)(fraction_train=0.5)
    arrays = {
        "layer.weight": np.zeros((3, context.run_config["model.units"]), dtype=np.float32),
        "bn.running_mean": np.zeros(2, dtype=np.float32),
        "bn.num_batches_tracked": np.zeros((), dtype=np.int64),
    }
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord({name: Array(one) for name, one in arrays.items()}),
        train_config=ConfigRecord({"lr": 0.5}),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=evaluate_centrally,
    )
