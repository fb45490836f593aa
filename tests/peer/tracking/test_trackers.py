"""The options for TensorBoard and MLflow, and the two writers with the packages' own readers."""

import importlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coterie.peer.cli.commands.start import folder_option, mlflow_option
from coterie.peer.errors import Exit, PeerError
from coterie.peer.home.settings import Settings, check_settings, read_settings
from coterie.peer.system import extras
from coterie.peer.tracking import trackers
from coterie.peer.tracking.trackers import (
    EventFiles,
    MlflowRun,
    Point,
    Run,
    load_packages,
    mlflow_uri,
    plain_reason,
    targets,
)

RUN = Run("five hospitals", "5fd1c07ab3e94d26" * 4, "12D3KooWNLezXLT6yirsboxZ8ruw8Q6K5BmSARFiToFVs3mmQ85x")
POINTS = [Point("agreed/loss", 1, 0.5), Point("round/members", 1, 5.0), Point("agreed/loss", 2, 0.25)]
KEYS = {point[:2] for point in POINTS}
SECRET = "http://eve:s3cret%21@127.0.0.1:1/mlflow?token=abc"

# Options.


def test_off_takes_each_option_back(tmp_path: Path) -> None:
    kept = Settings(tensorboard="/runs", mlflow="http://h", mlflow_experiment="x", mlflow_own_figures=True)
    assert read_settings(kept.encode()) == kept
    off = kept.with_given({"tensorboard": folder_option("off"), "mlflow": mlflow_option("off")})
    assert off == Settings()


def test_another_server_is_not_told_the_own_figures_unasked() -> None:
    kept = Settings(mlflow="http://h", mlflow_experiment="x", mlflow_own_figures=True)
    assert kept.with_given({"mlflow": "http://h"}) == kept
    other = kept.with_given({"mlflow": "http://other"})
    assert (other.mlflow_own_figures, other.mlflow_experiment) == (False, "x")
    assert kept.with_given({"mlflow": "http://other", "mlflow_own_figures": True}).mlflow_own_figures


@pytest.mark.parametrize("kept", [{"mlflow_experiment": "x"}, {"mlflow_own_figures": True}])
def test_options_of_mlflow_without_mlflow_are_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(PeerError, match=r"only with --mlflow$"):
        check_settings(Settings(**kept))


def test_a_folder_and_a_file_are_kept_with_their_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_option("runs") == str(tmp_path / "runs")
    assert mlflow_option("sqlite:///m.db") == f"sqlite:///{tmp_path}/m.db"
    assert mlflow_option("sqlite:////data/m.db") == "sqlite:////data/m.db"
    for text in ("http://127.0.0.1:5000", "https://eve:x@h/mlflow", "postgresql+psycopg://eve:x@h/db"):
        assert mlflow_option(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "runs", "/data/runs", "databricks", "ftp://eve:s3cret@h", "file:///s3cret"),
        *("http://", "http://eve:s3cret@", "http://eve:s3cret@h:x", "http://h/s3cret x"),
        *("sqlite://", "sqlite:///", "sqlite:///:memory:"),
    ],
)
def test_what_names_no_server_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(PeerError, match=r"^--mlflow: .*such as http|^--mlflow: the URI names no ") as caught:
        mlflow_uri(text)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_uri_is_refused_on_the_command_line(peer: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = peer("start", "--mlflow", "ftp://eve:s3cret@h")
    assert code == Exit.USAGE
    assert "--mlflow" in err
    assert "s3cret" not in err


def test_a_place_is_shown_without_its_credentials() -> None:
    (target,) = targets(Settings(mlflow=SECRET))
    assert (target.shown, target.has_own) == ("MLflow at http://…@127.0.0.1:1/mlflow", False)
    assert set(target.secrets) >= {"eve:s3cret%21", "eve", "s3cret%21", "s3cret!", "abc"}
    assert targets(Settings()) == []
    (files,) = targets(Settings(tensorboard="/runs"))
    assert (files.shown, files.has_own, files.secrets) == ("TensorBoard files in /runs", True, ())
    (own,) = targets(Settings(mlflow="sqlite:////m.db", mlflow_own_figures=True))
    assert (own.shown, own.has_own) == ("MLflow at sqlite:////m.db", True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (TimeoutError(), "no answer in time"),
        (ValueError("API request to endpoint /x failed with error code 401 != 200"), "access refused; check user"),
        (ValueError("two\nlines"), "two"),
        (ValueError("x" * 500), "x" * 200 + "…"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_reason_is_told_in_one_plain_line(error: Exception, reason: str) -> None:
    assert plain_reason(error).startswith(reason)


def test_the_first_cause_with_a_number_is_the_reason() -> None:
    error = ValueError("API request to http://eve:s3cret@h failed")
    error.__context__ = ConnectionRefusedError(111, "Connection refused")
    assert plain_reason(error) == "Connection refused"


# Packages that are missing.


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"tensorboard": "/runs"}, "--tensorboard needs the package tensorboardX, which is not installed; type: "),
        ({"mlflow": "http://h"}, "--mlflow needs the package mlflow, which is not installed; type: "),
    ],
)
def test_a_missing_package_is_told_with_what_to_type(
    kept: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(name=module.partition(".")[0])

    monkeypatch.setattr(extras, "import_module", missing)
    monkeypatch.setattr(trackers.os, "environ", {})
    settings = Settings(**kept)  # type: ignore[arg-type]
    with pytest.raises(PeerError, match=rf"^{told}pip install 'coterie\[\w+\]'$"):
        load_packages(settings, kept)
    load_packages(settings, {})  # the peer goes on with options that were kept; the tracker tells it


def test_mlflow_reports_to_nobody_else_and_leaves_it_to_the_peer_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    environ: dict[str, str] = {"MLFLOW_DISABLE_TELEMETRY": "false"}
    monkeypatch.setattr(trackers.os, "environ", environ)
    monkeypatch.setattr(extras, "import_module", lambda module: SimpleNamespace())
    load_packages(Settings(mlflow="http://h"), {})
    assert (environ["MLFLOW_DISABLE_TELEMETRY"], environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) == ("true", "0")


# TensorBoard.


@pytest.fixture
def tensorboard_x() -> Any:
    return pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads."""
    name = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(name, reason="tensorboard is not installed").EventAccumulator(str(folder))
    reader.Reload()
    return {tag: [(one.step, one.value) for one in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_tensorboard_reads_what_several_runs_of_a_peer_wrote(tensorboard_x: Any, tmp_path: Path) -> None:
    first = EventFiles(tmp_path, RUN)
    assert first.written() == set()
    assert list(tmp_path.iterdir()) == [], "nothing is made before the first figure"
    first.write(POINTS[:2])
    second = EventFiles(tmp_path, RUN)
    assert second.written() == {point[:2] for point in POINTS[:2]}
    second.write(POINTS[2:])
    first.write([Point("own/loss", 1, 0.75)])
    assert EventFiles(tmp_path, RUN).written() == KEYS | {("own/loss", 1)}
    (folder,) = tmp_path.iterdir()
    assert folder.name == "five-hospitals-5fd1c07ab3e94d26-oFVs3mmQ85x"
    assert scalars(folder) == {
        "agreed/loss": [(1, 0.5), (2, 0.25)],
        "round/members": [(1, 5.0)],
        "own/loss": [(1, 0.75)],
    }


def test_other_users_cannot_read_the_files(tensorboard_x: Any, tmp_path: Path) -> None:
    writer = EventFiles(tmp_path, RUN)
    writer.write(POINTS)
    (file,) = writer.folder.iterdir()
    assert (writer.folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_two_peers_and_two_federations_have_their_own_folders(tensorboard_x: Any, tmp_path: Path) -> None:
    runs = [RUN, RUN._replace(peer_id="12D3KooWother9peerid"), RUN._replace(federation_id="7" * 64)]
    runs.append(RUN._replace(federation="../..", federation_id="8" * 64))
    for run in runs:
        EventFiles(tmp_path, run).write(POINTS)
    assert len(list(tmp_path.iterdir())) == 4
    assert all(EventFiles(tmp_path, run).written() == KEYS for run in runs)


@pytest.mark.parametrize("cut", [1, 4, 5, 20])
def test_a_round_that_was_cut_off_is_written_again(tensorboard_x: Any, tmp_path: Path, cut: int) -> None:
    writer = EventFiles(tmp_path, RUN)
    writer.write(POINTS)
    (file,) = writer.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    again = EventFiles(tmp_path, RUN)
    assert again.written() == {point[:2] for point in POINTS[:2]}
    again.write(POINTS[2:])
    assert EventFiles(tmp_path, RUN).written() == KEYS
    assert scalars(writer.folder)["agreed/loss"] == [(1, 0.5), (2, 0.25)]


@pytest.mark.parametrize("junk", [bytes(64), b"no events", b"\xff" * 64])
def test_the_rest_of_a_damaged_file_is_left_out(tensorboard_x: Any, tmp_path: Path, junk: bytes) -> None:
    writer = EventFiles(tmp_path, RUN)
    writer.write(POINTS)
    (file,) = writer.folder.iterdir()
    file.write_bytes(file.read_bytes() + junk)
    assert EventFiles(tmp_path, RUN).written() == KEYS


def test_a_file_that_is_gone_is_an_error(tensorboard_x: Any, tmp_path: Path) -> None:
    writer = EventFiles(tmp_path, RUN)
    writer.write(POINTS[:2])
    (file,) = writer.folder.iterdir()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        writer.write(POINTS[2:])


def test_a_folder_that_cannot_be_made_is_an_error(tensorboard_x: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        EventFiles(tmp_path / "file", RUN).write(POINTS)


# MLflow.


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MLflow's own client of a database. Making one takes seconds, so each test has an experiment of its own in it."""
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    uri = mlflow_uri(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/m.db")
    MlflowRun(uri, "Coterie", RUN)
    made = importlib.import_module("mlflow").MlflowClient(tracking_uri=uri)
    made.uri = uri
    return made


def history(client: Any, run_id: str) -> dict[str, list[tuple[int, float]]]:
    names = client.get_run(run_id).data.metrics
    return {name: [(one.step, one.value) for one in client.get_metric_history(run_id, name)] for name in names}


def test_mlflow_has_one_run_of_a_peer_with_each_figure_once(client: Any) -> None:
    first = MlflowRun(client.uri, "hospitals", RUN)
    assert first.written() == set()
    first.write(POINTS)
    second = MlflowRun(client.uri, "hospitals", RUN)
    assert second.written() == KEYS
    second.write([Point("agreed/loss", 3, 0.125)])
    other = MlflowRun(client.uri, "hospitals", RUN._replace(peer_id="12D3KooWother"))
    assert other.written() == set()
    experiment = client.get_experiment_by_name("hospitals")
    runs = {one.data.tags["coterie.peer"]: one for one in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {RUN.peer_id, "12D3KooWother"}
    run = runs[RUN.peer_id]
    assert history(client, run.info.run_id) == {
        "agreed/loss": [(1, 0.5), (2, 0.25), (3, 0.125)],
        "round/members": [(1, 5.0)],
    }


def test_mlflow_is_told_nothing_but_figures_and_which_run_they_are_of(client: Any) -> None:
    writer = MlflowRun(client.uri, "tags", RUN)
    writer.written()
    writer.write(POINTS)
    run = client.get_run(writer._run_id)
    assert run.data.tags == {
        "coterie.federation": RUN.federation_id,
        "coterie.peer": RUN.peer_id,
        "mlflow.runName": "five hospitals",
    }
    assert run.data.params == {}
    assert run.info.user_id in ("", "unknown")


def test_more_figures_than_a_request_takes_are_written(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "BATCH_FIGURES", 2)
    writer = MlflowRun(client.uri, "batches", RUN)
    writer.written()
    writer.write(POINTS)
    assert MlflowRun(client.uri, "batches", RUN).written() == KEYS


def test_a_run_that_was_deleted_is_made_anew(client: Any) -> None:
    writer = MlflowRun(client.uri, "deleted", RUN)
    writer.written()
    client.delete_run(writer._run_id)
    with pytest.raises(Exception, match="active"):
        writer.write(POINTS)
    assert MlflowRun(client.uri, "deleted", RUN).written() == set()


def test_a_database_that_cannot_be_opened_is_told_plainly(tmp_path: Path) -> None:
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever SQLAlchemy raises
        MlflowRun(f"sqlite:///{tmp_path}/file/m.db", "Coterie", RUN).written()
    reason = plain_reason(caught.value)
    assert any(said in reason for said in ("Not a directory", "File exists", "unable to open")), reason
    assert "\n" not in reason


@pytest.fixture
def refusing() -> Iterator[tuple[int, list[str]]]:
    """A server that wants another password; the port, and the credentials that it was given."""
    given: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port, given
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_refuses_the_password_is_told_plainly(refusing: tuple[int, list[str]]) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    port, given = refusing
    (target,) = targets(Settings(mlflow=f"http://eve:s3cret%21@127.0.0.1:{port}"))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever MLflow raises
        target.open(RUN).written()
    assert plain_reason(caught.value, target.secrets) == "access refused; check user and password, or the token"
    assert given
    assert given[-1].startswith("Basic ")


def test_a_server_that_is_gone_is_told_plainly() -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    (target,) = targets(Settings(mlflow=SECRET))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever MLflow raises
        target.open(RUN).written()
    assert "s3cret" in str(caught.value), "so it has to be taken out"
    assert plain_reason(caught.value, target.secrets) == "Connection refused"
