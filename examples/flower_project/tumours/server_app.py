"""The ServerApp: what the training begins with, and for how long it goes on."""

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from tumours.task import create_model

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, and tell what came of it."""
    model = create_model(context.run_config["inverse-penalty"], context.run_config["local-epochs"])
    result = FedAvg().start(
        grid=grid,
        initial_arrays=ArrayRecord([model.coef_, model.intercept_]),
        num_rounds=context.run_config["num-server-rounds"],
    )
    print(result.arrays.to_numpy_ndarrays())
