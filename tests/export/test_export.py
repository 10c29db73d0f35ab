"""`audiotok export` from the command line, its refusals, and the upload to a hub on loopback."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.errors import UserError
from audiotok.export.program import export
from audiotok.export.request import check_request


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload of small files takes."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        url = f"http://127.0.0.1:{self.server.server_port}/me/tagger"
        answer = {
            "url": url,
            "commitUrl": f"{url}/commit/abc",
            "commitOid": "0" * 40,
            "errors": [],
            "warnings": [],
        }
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            answer = {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files
                ]
            }
        self.answer(self.server.status, json.dumps(answer).encode())

    def do_GET(self) -> None:
        self.answer(404, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.asked, server.status = [], 200
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_the_command_writes_a_folder_and_uploads_it(plain_run, tmp_path, hub):
    result = CliRunner().invoke(
        app, ["export", str(plain_run[0]), "--to", "hf", f"{tmp_path}/out", "--push", "me/tagger"]
    )
    assert result.exit_code == 0, result.output
    assert "out holds the model for transformers" in " ".join(result.output.split())
    (create, commit) = (next(one for one in hub.asked if word in one[0]) for word in ("/create", "/commit/"))
    assert json.loads(create[2])["visibility"] == "private"
    assert {token for _, token, _ in (create, commit)} == {"Bearer hf_of_a_test"}
    lines = [json.loads(line) for line in commit[2].splitlines()]
    sent = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    assert sent == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_a_hub_that_refuses_is_one_sentence(plain_run, tmp_path, hub):
    hub.status = 403
    with pytest.raises(
        UserError, match=r"^--push=me/tagger failed at http://127[^\n]*; [^\n]*out is complete: `hf upload"
    ):
        export(plain_run[0], tmp_path / "out", "hf", "me/tagger")
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run": "table.csv"}, r"table\.csv is not a checkpoint"),
        ({"run": "nothing"}, r"nothing does not exist"),
        ({"run": "pretrained"}, r"pretrained is a run of `audiotok pretrain`"),
        ({"directory": "full"}, r"DIR=[^ ]*full exists and is not an empty folder; give a new one"),
        ({"directory": "table.csv"}, r"DIR=[^ ]*table\.csv exists and is not an empty folder"),
        ({"to": "coreml"}, r"--to=coreml is not a format; choose hf or onnx"),
        ({"push": "tagger"}, r"--push=tagger is not the name of a repository; give USER/NAME"),
        ({"push": "me/tagger"}, r"--push=me/tagger needs a login to the Hugging Face Hub; run `hf auth"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_one_sentence(tmp_path, monkeypatch, changes, words):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    (tmp_path / "table.csv").write_text("path,labels\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for name, program in (("run", "train"), ("pretrained", "pretrain")):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "checkpoints" / "best.ckpt").touch()
        (tmp_path / name / "config.yaml").write_text("trainer: {}\n")
        (tmp_path / name / "provenance.json").write_text(f'{{"program": "{program}"}}')
    asked = {"run": "run", "directory": "new", "to": "hf", "push": None, **changes}
    with pytest.raises(UserError, match=rf"^[^\n]*{words}[^\n]*\.$"):
        check_request(tmp_path / asked["run"], tmp_path / asked["directory"], asked["to"], asked["push"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "pretrained", "run", "table.csv"]
