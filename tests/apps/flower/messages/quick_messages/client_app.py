"""One step towards the number of the site, and a count of the rounds in the context's state."""

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Each weight takes a part of its way to `goal`; the statistics become what the site's rows say."""
    arrays = {name: one.numpy() for name, one in msg.content["arrays"].items()}
    config, goal = msg.content["config"], context.node_config["goal"]
    seen = context.state["seen"]["rounds"] if "seen" in context.state else 0
    context.state["seen"] = ConfigRecord({"rounds": seen + 1, "last": config["server-round"]})
    arrays["layer.weight"] = arrays["layer.weight"] + config["lr"] * (goal - arrays["layer.weight"])
    arrays["bn.running_mean"] = np.full_like(arrays["bn.running_mean"], 1000.0 * goal)
    arrays["bn.num_batches_tracked"] = np.asarray(arrays["bn.num_batches_tracked"] + 1)
    metrics = MetricRecord({"num-examples": 10 * goal, "train_loss": 0.5, "rounds": seen + 1, "history": [1.0, 2.0]})
    record = ArrayRecord({name: Array(one) for name, one in arrays.items()})
    return Message(content=RecordDict({"arrays": record, "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """How far the weights are from the site's goal, and what the statistics are."""
    arrays = {name: one.numpy() for name, one in msg.content["arrays"].items()}
    metrics = {
        "num-examples": 5,
        "eval_loss": float(np.square(arrays["layer.weight"] - context.node_config["goal"]).mean()),
        "eval_acc": 0.5,
        "mean": float(arrays["bn.running_mean"].mean()),
    }
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
