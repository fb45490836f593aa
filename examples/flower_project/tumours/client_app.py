"""The ClientApp: what a site does with the weights that it is sent."""

import warnings

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.metrics import log_loss

from tumours.task import create_model, load_data

app = ClientApp()


def site(msg: Message, context: Context):
    """The model with the weights of a message, and the site's rows."""
    model = create_model(context.run_config["inverse-penalty"], context.run_config["local-epochs"])
    model.coef_, model.intercept_ = msg.content["arrays"].to_numpy_ndarrays()
    return model, load_data(context.node_config["partition-id"], context.node_config["num-partitions"])


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the model on the site's rows."""
    model, (rows, labels, _, _) = site(msg, context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration does not converge
        model.fit(rows, labels)
    metrics = MetricRecord({"num-examples": len(rows), "train_logloss": log_loss(labels, model.predict_proba(rows))})
    arrays = ArrayRecord([model.coef_, model.intercept_])
    return Message(content=RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Measure the model on rows that the site does not train on."""
    model, (_, _, rows, labels) = site(msg, context)
    metrics = {
        "num-examples": len(rows),
        "test_logloss": log_loss(labels, model.predict_proba(rows)),
        "accuracy": model.score(rows, labels),
    }
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
