"""The W&B dashboard: what it shows exists, and where it goes is asked with an account only."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runs import run
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.logger.workspace import SETTINGS, build
from audiotok.programs import config_folder

pytest.importorskip("wandb_workspaces")


def composed(*overrides):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", list(overrides))


def test_every_setting_that_it_compares_exists():
    config = composed()
    for key in SETTINGS:
        assert OmegaConf.select(config, key) is not None, key


def test_every_score_that_it_shows_is_logged(tmp_path):
    metrics = run(tmp_path)
    history = (tmp_path / "history.csv").read_text().splitlines()[0].split(",")
    logged = {*metrics, *history, "trainer/global_step", "train/learning_rate"}
    logged |= {"test/examples", "test/per_class", "vocabulary/centroids"}  # tested in test_wandb.py
    for section in build("p", "e").sections:
        for panel in section.panels:
            shown = [*getattr(panel, "media_keys", []), *getattr(panel, "metrics", [])]
            shown += [*getattr(panel, "y", []), getattr(panel, "table_name", None)]
            names = {str(getattr(name, "name", name)) for name in shown if name}
            assert names <= logged, panel


def test_without_an_account_it_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    result = CliRunner().invoke(app, ["workspace"])
    assert result.exit_code == 1
    assert "audiotok workspace needs a W&B account: run `wandb login`" in result.output


class W_and_B(BaseHTTPRequestHandler):  # noqa: N801
    """Answers as W&B's server does to a view that is saved, and keeps what it was sent."""

    def do_POST(self):
        """Take a GraphQL query."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.queries.append(query)
        view = {"id": "1", "name": "nw-1", "displayName": "audiotok", "spec": "{}", "updatedAt": ""}
        viewer = {"id": "1", "entity": "lab", "username": "me", "flags": "{}", "teams": {"edges": []}}
        data = {"upsertView": {"view": view, "inserted": True}, "viewer": viewer, "serverInfo": None}
        data["project"] = {"id": "1", "internalId": "1", "name": "sounds"}
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    """A W&B on loopback."""
    server = HTTPServer(("127.0.0.1", 0), W_and_B)
    server.queries = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    yield server
    server.shutdown()


def test_the_workspace_is_sent_to_the_project(server):
    result = CliRunner().invoke(app, ["workspace", "--project", "sounds", "--entity", "lab"])
    assert result.exit_code == 0, (result.output, result.exception, server.queries)
    [sent] = [query for query in server.queries if "upsertView" in query["query"]]
    assert sent["variables"]["projectName"] == "sounds"
    assert sent["variables"]["entityName"] == "lab"
    spec = sent["variables"]["spec"]
    for name in ("clustering.n_clusters", "val/mAP", "test/per_class", "Parallel"):
        assert name in spec


def test_the_sweep_of_wandb_composes_with_any_of_its_values():
    sweep = yaml.safe_load((Path(__file__).parents[2] / "wandb-sweep.yaml").read_text())
    assert "${args_no_hyphens}" in sweep["command"]
    for end in (0, -1):
        values = {
            key: space["values"][end] if "values" in space else space["min" if end == 0 else "max"]
            for key, space in sweep["parameters"].items()
        }
        config = composed(*(f"{key}={value}" for key, value in values.items()))
        assert {key: OmegaConf.select(config, key) for key in values} == values
    assert sweep["metric"]["name"] == composed().optimized_metric
