"""`audiotok demo`: the page in a browser, with a real sound; it is of this machine alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny import SAMPLE_RATE, tones
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.demo import open_demo

gradio = pytest.importorskip("gradio", reason="gradio is not installed: pip install 'audiotok[demo]'")
api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
httpx = pytest.importorskip("httpx")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLOW = 120_000  # ms; a busy machine takes its time


@pytest.fixture(scope="module")
def served(plain_run):
    """A page of a run, and its address."""
    demo = open_demo(plain_run[0])
    yield demo, demo.start(port=0, max_mb=1).rstrip("/")
    demo.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound of 3 s: a low tone, and then a high one."""
    path = tmp_path_factory.mktemp("sound") / "two tones.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, np.concatenate([tones([hz], rng, 1.5) for hz in (250.0, 2500.0)]), SAMPLE_RATE)
    return path


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_sound_that_is_dropped_is_tagged_and_nothing_is_asked_of_other_machines(served, sound, tmp_path):
    demo, url = served
    (tmp_path / "broken.wav").write_text("not a sound")
    asked, complaints = set(), []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SLOW)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(SLOW)
        page.on("request", lambda request: asked.add("/".join(request.url.split("/")[:3])))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.locator("#sound input[type=file]").set_input_files(sound)
        page.wait_for_selector("#timeline img")
        page.wait_for_selector("#tokens img")
        tags = page.locator("#tags").inner_text()
        page.locator("#sound").get_by_label("Clear").or_(page.locator("#sound [title=Clear]")).first.click()
        page.locator("#sound input[type=file]").set_input_files(tmp_path / "broken.wav")
        page.wait_for_selector("text=broken.wav cannot be read as audio")
        browser.close()
    best = max(demo.run.predict(sound, overlap=demo.run.clip_seconds / 2).tags(), key=lambda t: t.probability)
    assert best.sound_class.name in tags
    assert {address for address in asked if not address.startswith(("data:", "blob:"))} == {url}
    assert complaints == []


def test_tokens_are_a_row_for_each_codebook(served, sound, tmp_path):
    demo, _ = served
    *_, drawn = demo.look(str(shutil.copy(sound, tmp_path)))
    rows = np.asarray(drawn)
    n_changes = (rows[1:] != rows[:-1]).any((1, 2)).sum()
    assert 12 < n_changes < 24  # of 24 codebooks, some neighbours may look alike


def test_only_its_own_files_are_served_and_a_large_upload_is_refused(served, plain_run, tmp_path):
    _, url = served
    page = httpx.get(url)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for path in ("/etc/passwd", plain_run[0] / "config.yaml", Path.cwd() / "pyproject.toml"):
        assert httpx.get(f"{url}/gradio_api/file={path}").status_code in (403, 404)
    large = {"files": ("large.wav", bytes(1_100_000))}
    assert httpx.post(f"{url}/gradio_api/upload", files=large).status_code == 413


def test_uploads_are_removed_with_the_page(plain_run):
    demo = open_demo(plain_run[0])
    folder = Path(demo._uploads.name)
    assert folder.is_dir()
    demo.close()
    assert not folder.exists()


def test_what_is_missing_is_one_sentence(tmp_path, plain_run, monkeypatch):
    (tmp_path / "run").mkdir()
    result = CliRunner().invoke(app, ["demo", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "not the folder of a trained run" in result.output
    monkeypatch.setattr("audiotok.demo.find_spec", lambda _: None)
    result = CliRunner().invoke(app, ["demo", str(plain_run[0])])
    assert 'audiotok demo needs gradio, which is missing; pip install "audiotok[demo]".' in result.output


def test_a_port_that_is_taken_is_one_sentence(served, plain_run):
    _, url = served
    result = CliRunner().invoke(app, ["demo", str(plain_run[0]), "--port", url.rpartition(":")[2]])
    assert result.exit_code == 1
    assert "cannot be listened at" in result.output
