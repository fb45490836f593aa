"""Projects of Flower, trained without a server: `FlowerApp` makes an app of the folder of one.

The project's ClientApp is called as Flower would call it: with messages, or with older ones where it makes a
NumPyClient. Its ServerApp is started once, to learn what a server would tell the clients (see `flower_plan`).

The floating-point arrays are averaged, by their names. Arrays of whole numbers, and the running statistics of BatchNorm
as PyTorch names them, stay at this site: they are no steps of a descent, and clipping them as updates would falsify
them. The site's next training and evaluation get those that its last training gave.

The loss is the metric with `loss` in its name. All other metrics are added up once, at the end: some may be the same
number in two rounds whatever the model is, and a project does not say which (docs/guide.md).
"""

import re
import shlex
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..peer.learning.app import AppError, load_object
from .description import as_json, description
from .flower_plan import LEGACY, Plan, check_release, flwr, plan_of, read_project
from .named_arrays import read_kept, write_kept

__all__ = ["FlowerApp"]

_VERSION: Final = 1
"""Version of the rules of training. Members with different versions do not train together."""

_STAYING: Final = re.compile(r"(^|\.)(running_mean|running_var|num_batches_tracked)$")
"""Names of PyTorch's running statistics."""

_HERE: Final = 2
"""This site's node number for its ClientApp; the server would be 1."""

_TTL_SECONDS: Final = 43200.0

Arrays = Sequence[npt.NDArray[Any]]
Named = dict[str, npt.NDArray[Any]]


class FlowerApp:
    """The ClientApp of a Flower project, as an app."""

    def __init__(self, folder: str | Path, node_config: str = "") -> None:
        """Load the project, start its ServerApp, and evaluate the initial arrays once.

        Args:
            folder: the folder of the project.
            node_config: what Flower would be told of this node, as `key=value …`.

        Raises:
            AppError: the project cannot be trained without a server; says why.
            MissingPackage: the needed release of Flower is not installed.
        """
        self._round = 0
        self._kept: Path | None = None
        folder = Path(folder)
        self._project = read_project(folder)
        check_release()
        self._app = flwr("flwr.app")
        self._context = self._app.Context(
            run_id=1,
            node_id=_HERE,
            node_config=_node_config(node_config),
            state=self._app.RecordDict(),
            run_config=dict(self._project.config),
        )
        server = self._app.Context(1, 1, {}, self._app.RecordDict(), dict(self._project.config))
        self._client = load_object(self._project.client, str(folder))
        self._plan: Plan = plan_of(load_object(self._project.server, str(folder)), server)
        self._arrays = dict(self._plan.arrays) or self._first_of_client()
        floats = [name for name, one in self._arrays.items() if np.issubdtype(one.dtype, np.floating)]
        self._sent = [name for name in floats if not _STAYING.search(name)]
        if not self._sent:
            raise AppError(f"nothing can be averaged: the arrays are {', '.join(self._arrays) or 'none'}")
        self._staying = [name for name in self._arrays if name not in self._sent]
        self.examples: int | None = None
        self._loss, self.final_metrics = self._names()

    def describe(self) -> str:
        """The description, which must be equal at all members."""
        plan = self._plan
        return description(
            "FlowerApp",
            _VERSION,
            project=f"{self._project.name} {self._project.version}",
            client=self._project.client,
            parameters=[f"{name} {self._arrays[name].shape} {self._arrays[name].dtype}" for name in self._sent],
            strategy=plan.strategy,
            run=as_json(self._project.config),
            train=as_json(plan.train(1)),
            evaluate=as_json(plan.evaluate(1)) if plan.evaluate else None,
            loss=self._loss,
        )

    def keep_in(self, folder: Path) -> None:
        """Use this folder to keep the context's state and the arrays that stay here; load those that it holds."""
        self._kept = folder
        serde = flwr("flwr.common.serde")
        state, arrays = folder / "state.bin", folder / "arrays.npz"
        if state.exists():
            proto = flwr("flwr.proto.recorddict_pb2").RecordDict
            self._context.state = serde.recorddict_from_proto(proto.FromString(state.read_bytes()))
        if arrays.exists():
            self._arrays |= read_kept(arrays, {name: self._arrays[name].shape for name in self._staying})

    def initial(self) -> list[npt.NDArray[Any]]:
        """The arrays with which the project's ServerApp or client begins. All members begin with the founder's."""
        return [self._arrays[name].astype(np.float32) for name in self._sent]

    def fit(self, weights: Arrays, round: int) -> tuple[list[npt.NDArray[Any]], int, dict[str, float]]:
        """Train for a round by the project's own code; returns the new weights, the examples, and metrics.

        Raises:
            AppError: the ClientApp replied with an error, or with arrays of other names or shapes than it got.
        """
        self._round = round
        arrays = self._named(weights)
        trained, examples, metrics = (self._fit_client if self._is_legacy else self._fit_messages)(arrays, round)
        shapes = {name: one.shape for name, one in arrays.items()}
        if (found := {name: one.shape for name, one in trained.items()}) != shapes:
            raise AppError(f"the ClientApp was given the arrays {shapes}, and gave back {found}")
        self._arrays |= {name: trained[name] for name in self._staying}
        self._keep()
        return [trained[name].astype(np.float32) for name in self._sent], examples, metrics

    def evaluate(self, weights: Arrays) -> tuple[float, int, Mapping[str, float]]:
        """The loss, the examples and the metrics of the project's own evaluation; no examples if it has none.

        Raises:
            AppError: the ClientApp replied with an error, or gave no loss.
        """
        examples, means = self._measured(self._named(weights))
        if not examples:
            return 0.0, 0, {}
        if self._loss not in means:
            raise AppError(f"the evaluation gave no {self._loss or 'loss'!r}, only {', '.join(means) or 'nothing'}")
        return means[self._loss], examples, {name: one for name, one in means.items() if name != self._loss}

    @property
    def _is_legacy(self) -> bool:
        return self._plan.api == LEGACY

    def _names(self) -> tuple[str, tuple[str, ...]]:
        """The name of the loss and the names of the other metrics, by an evaluation of the initial arrays."""
        examples, means = self._measured(self._arrays)
        losses = [name for name in means if "loss" in name.lower()]
        # Of several names that contain `loss`, the one that is exactly `loss` is the loss.
        if len(losses) > 1 and "loss" in losses:
            losses = ["loss"]
        if examples and len(losses) != 1:
            raise AppError(
                f"the evaluation gives {', '.join(means) or 'no metrics'}: one of them is to have `loss` in its name"
            )
        loss = losses[0] if losses else ""
        return loss, tuple(sorted(name for name in means if name != loss))

    def _measured(self, arrays: Named) -> tuple[int, dict[str, float]]:
        """The number of examples of an evaluation, and the means over them by name."""
        if self._plan.evaluate is None:
            return 0, {}
        return (self._evaluate_client if self._is_legacy else self._evaluate_messages)(arrays)

    # For a ClientApp with functions of messages

    def _fit_messages(self, arrays: Named, round: int) -> tuple[Named, int, dict[str, float]]:
        content = self._send("train", self._instruction(arrays, self._plan.train(round)))
        records = list(content.array_records.values())
        if len(records) != 1:
            raise AppError(f"the ClientApp's reply holds {len(records)} ArrayRecords: one is needed")
        examples, metrics = self._metrics(content)
        return {name: one.numpy() for name, one in records[0].items()}, examples, metrics

    def _evaluate_messages(self, arrays: Named) -> tuple[int, dict[str, float]]:
        assert self._plan.evaluate is not None
        try:
            content = self._send("evaluate", self._instruction(arrays, self._plan.evaluate(self._round)))
        except ValueError as error:
            if "No evaluate function registered" in str(error):
                return 0, {}
            raise
        return self._metrics(content)

    def _instruction(self, arrays: Named, config: Mapping[str, Any]) -> Any:
        array, record = self._app.Array, self._app.ArrayRecord
        place, configured, _ = self._plan.keys
        return self._app.RecordDict(
            {
                place: record({name: array(one) for name, one in arrays.items()}),
                configured: self._app.ConfigRecord(dict(config)),
            }
        )

    def _metrics(self, content: Any) -> tuple[int, dict[str, float]]:
        """The number of examples in a reply, and the other numbers beside it."""
        counted = self._plan.keys[2]
        records = [dict(one) for one in content.metric_records.values()]
        if len(records) != 1 or counted not in records[0]:
            # All members are shown the text of an app's exception, so it has names and no numbers.
            found = "; ".join(", ".join(one) or "an empty one" for one in records) or "none"
            raise AppError(f"the ClientApp's reply needs one MetricRecord with {counted!r}, and has {found}")
        examples = int(records[0].pop(counted))
        return examples, _numbers(records[0])

    # For a ClientApp with a NumPyClient

    def _first_of_client(self) -> Named:
        """The arrays with which the client begins. Asked for if the ServerApp gives none."""
        compat, legacy = flwr("flwr.compat.common.recorddict_compat"), flwr("flwr.common")
        asked = compat.getparametersins_to_recorddict(legacy.GetParametersIns(config={}))
        reply = compat.recorddict_to_getparametersres(self._send("get_parameters", asked), keep_input=True)
        self._check_status(reply, "get_parameters")
        return {str(place): one for place, one in enumerate(legacy.parameters_to_ndarrays(reply.parameters))}

    def _fit_client(self, arrays: Named, round: int) -> tuple[Named, int, dict[str, float]]:
        compat, legacy = flwr("flwr.compat.common.recorddict_compat"), flwr("flwr.common")
        parameters = legacy.ndarrays_to_parameters(list(arrays.values()))
        content = compat.fitins_to_recorddict(legacy.FitIns(parameters, self._plan.train(round)), True)
        reply = compat.recorddict_to_fitres(self._send("train", content), keep_input=True)
        self._check_status(reply, "fit")
        trained = legacy.parameters_to_ndarrays(reply.parameters)
        named = {str(place): np.asarray(one) for place, one in enumerate(trained)}
        return named, int(reply.num_examples), _numbers(reply.metrics)

    def _evaluate_client(self, arrays: Named) -> tuple[int, dict[str, float]]:
        assert self._plan.evaluate is not None
        compat, legacy = flwr("flwr.compat.common.recorddict_compat"), flwr("flwr.common")
        parameters = legacy.ndarrays_to_parameters(list(arrays.values()))
        asked = legacy.EvaluateIns(parameters, self._plan.evaluate(self._round))
        reply = compat.recorddict_to_evaluateres(self._send("evaluate", compat.evaluateins_to_recorddict(asked, True)))
        if reply.status.code == legacy.Code.EVALUATE_NOT_IMPLEMENTED:
            return 0, {}
        self._check_status(reply, "evaluate")
        return int(reply.num_examples), {"loss": float(reply.loss), **_numbers(reply.metrics)}

    def _check_status(self, reply: Any, what: str) -> None:
        if reply.status.code.name != "OK":
            raise AppError(f"the client's {what}() ended with {reply.status.code.name}: {reply.status.message}")

    # Messages, and the files in the home

    def _send(self, kind: str, content: Any) -> Any:
        """Give the ClientApp a message, and return the content of its reply.

        Raises:
            AppError: the reply is an error, or the ClientApp asked for an entry of `node_config` that is missing.
        """
        metadata = self._app.Metadata(
            run_id=1,
            message_id=f"{kind}-{self._round}",
            src_node_id=1,
            dst_node_id=_HERE,
            reply_to_message_id="",
            group_id=str(self._round),
            created_at=time.time(),
            ttl=_TTL_SECONDS,
            message_type=kind,
            src_task_id=1,
            dst_task_id=2,
        )
        try:
            reply = self._client(self._app.Message(content=content, metadata=metadata), self._context)
        except KeyError as error:
            name = error.args[0] if error.args else ""
            if name in self._context.node_config or not _asks_node(error):
                raise
            raise AppError(
                f"the ClientApp asks for {name!r} of its node; give each site its own: --node-config '{name}=…'"
            ) from None
        if reply.has_error():
            raise AppError(f"the ClientApp replied with error {reply.error.code}: {reply.error.reason}")
        return reply.content

    def _named(self, weights: Arrays) -> Named:
        """The weights with the arrays that stay here, in the order and with the types of the initial arrays."""
        own = {name: one.astype(self._arrays[name].dtype) for name, one in zip(self._sent, weights, strict=True)}
        return {name: own.get(name, one) for name, one in self._arrays.items()}

    def _keep(self) -> None:
        if self._kept is None:
            return
        self._kept.mkdir(mode=0o700, exist_ok=True)
        write_kept(self._kept / "arrays.npz", {name: self._arrays[name] for name in self._staying})
        unfinished = self._kept / "state.bin.new"
        unfinished.write_bytes(flwr("flwr.common.serde").recorddict_to_proto(self._context.state).SerializeToString())
        unfinished.replace(self._kept / "state.bin")


def _node_config(text: str) -> dict[str, Any]:
    """The pairs of `--node-config`, read as Flower reads them.

    Raises:
        AppError: the text has something else, or a name twice.
    """
    read = flwr("flwr.common.config").parse_config_args
    try:
        found = dict(read([text] if text else None))
        words = len(shlex.split(text))
    except Exception as error:
        raise AppError(f"--node-config {text!r}: {error}") from None
    # Flower silently ignores a word that is no pair.
    if len(found) < words:
        raise AppError(f"--node-config {text!r}: pairs such as partition-id=0 are needed, each name once")
    return found


def _asks_node(error: BaseException) -> bool:
    """Whether the failing line looked for a name in `context.node_config`, by its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "node_config" in (frames[-1].line or "")


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are single numbers, as floats."""
    return {str(name): float(one) for name, one in metrics.items() if isinstance(one, int | float)}
