"""A line through the points of a site, by steps of gradient descent."""

import numpy as np
from flwr.app import Context
from flwr.client import ClientApp, NumPyClient


class Line(NumPyClient):
    """y = a x + b over the points of one site."""

    def __init__(self, site: int) -> None:
        self.x = np.random.default_rng(site).normal(size=40)
        self.y = 2.0 * self.x + 1.0

    def get_parameters(self, config):
        """The line to begin with."""
        return [np.array([0.25]), np.array(0.75)]

    def fit(self, parameters, config):
        """Ten steps."""
        a, b = parameters
        for _ in range(10):
            errors = a * self.x + b - self.y
            a, b = a - config["lr"] * (errors * self.x).mean(), b - config["lr"] * errors.mean()
        return [a, np.asarray(b)], len(self.x), {"round": config["round"]}

    def evaluate(self, parameters, config):
        """The mean square error."""
        errors = parameters[0] * self.x + parameters[1] - self.y
        return float(np.square(errors).mean()), len(self.x), {"worst": float(np.abs(errors).max())}


def client_fn(context: Context):
    """The client of a site."""
    return Line(context.node_config["partition-id"]).to_client()


app = ClientApp(client_fn=client_fn)
