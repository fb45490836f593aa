"""A strategy with a configuration that follows from the round."""

import numpy as np
from flwr.app import Context
from flwr.common import ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig, strategy


def configured(server_round: int):
    """Smaller steps later."""
    return {"lr": 0.1 if server_round < 3 else 0.05, "round": server_round}


def server_fn(context: Context):
    """The parts of a server."""
    first = ndarrays_to_parameters([np.array([0.5]), np.array(0.0)])
    named = context.run_config["names-first-weights"]
    kind = getattr(strategy, context.run_config["strategy"])
    given = {"initial_parameters": first} if named else {}
    return ServerAppComponents(
        strategy=kind(on_fit_config_fn=configured, **given),
        config=ServerConfig(num_rounds=context.run_config["num-server-rounds"]),
    )


app = ServerApp(server_fn=server_fn)
