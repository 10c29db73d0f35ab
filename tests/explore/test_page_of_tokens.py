"""`audiotok explore`: what the page contains, and what it does in a browser."""

import base64
import gzip
import json
import re
import shutil

import numpy as np
import pytest
from runs import command

from audiotok.run.folder import RunFolder

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLOW = 240_000  # ms; a busy machine takes its time


@pytest.fixture(scope="module")
def written(plain_run, tmp_path_factory):
    """The page of a run with the run's own data; do not change it."""
    folder = tmp_path_factory.mktemp("explored")
    command(str(plain_run[0]), f"hydra.run.dir={folder}", "n_heard=4", verb="explore")
    return folder / "explore.html"


@pytest.fixture(scope="module")
def contents(written):
    return contents_of(written)


def contents_of(page):
    [packed] = re.findall(r'id="packed-data">([^<]*)<', page.read_text(encoding="utf-8"))
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def numbers(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def test_nothing_in_the_page_is_loaded_from_elsewhere(written):
    frame = re.sub(r'(id="(?:packed|sound)-\w+">)[^<]*', r"\1", written.read_text(encoding="utf-8"))
    assert not re.search(r"https?:|@import|url\(|\bfetch\(|XMLHttpRequest|import\(", frame)
    assert not [link for link in re.findall(r'(?:src|href)="([^"]*)"', frame) if link[:1] not in "#d"]
    assert not re.search(r"/\*(style|program|data|plotly|sounds)\*/", frame)


def test_counts_are_of_all_clips_and_the_heard_ones_are_new_to_the_run(contents, plain_run):
    metrics = plain_run[1]
    assert contents["n_clips"] == sum(metrics[f"n_{split}_clips"] for split in ("train", "val", "test"))
    assert len(contents["clips"]) == 4
    assert {clip["split"] for clip in contents["clips"]} <= {"val", "test"}
    counts = numbers(contents["counts"], np.uint32).reshape(contents["n_codebooks"], -1)
    assert len(set(counts.sum(1).tolist())) == 1, "every codebook has a token at each moment"
    for clip in contents["clips"]:
        assert len(numbers(clip["tokens"], np.uint16)) == clip["n_tokens"] * contents["n_codebooks"]
        assert clip["tags"][0][1] >= clip["tags"][-1][1]
        assert len(numbers(clip["decoded_spectrogram"], np.uint8)) == len(
            numbers(clip["spectrogram"], np.uint8)
        )


def test_best_clips_are_above_worst_ones_and_have_the_class(contents, plain_run):
    predicted = np.load(RunFolder(plain_run[0]).predictions)
    names = {id_: number for number, id_ in enumerate(predicted["ids"].tolist())}
    ranked = [one for one in contents["classes"] if one["best"]]
    assert ranked
    for one in ranked:
        scores = [score for _, _, score in one["best"] + one["worst"][::-1]]
        assert scores == sorted(scores, reverse=True)
    place = next(number for number, one in enumerate(contents["classes"]) if one["best"])
    for _, id_, score in contents["classes"][place]["best"]:
        if id_ in names:
            assert predicted["targets"][names[id_], place]
            assert score == pytest.approx(predicted["probabilities"][names[id_], place], abs=1e-3)


def test_a_tokenizer_alone_shows_its_vocabulary(plain_run, tmp_path):
    shutil.copytree(plain_run[0] / "vocabulary", tmp_path / "tokenizer")
    command(str(tmp_path / "tokenizer"), f"hydra.run.dir={tmp_path / 'out'}", verb="explore")
    shown = contents_of(tmp_path / "out" / "explore.html")
    assert (shown["name"], shown["n_clusters"]) == ("tokenizer", 8)
    assert "clips" not in shown
    assert shown["decoded"]["n_bins"] == len(shown["decoded_hertz"]) == 16
    ranks = numbers(shown["ranks"], np.uint16).reshape(24, 8)
    assert np.sort(ranks, 1).tolist() == [list(range(8))] * 24


def test_bad_input_is_one_sentence(plain_run, tmp_path, capsys):
    for arguments, said in (
        ([], "audiotok explore needs a finished run; write audiotok explore RUN."),
        ([str(tmp_path)], "is not the folder of a trained run"),
        ([str(plain_run[0]), "n_clips=0"], "n_clips=0"),
        ([str(plain_run[0]), f"to={tmp_path}/no/page.html", "n_clips=8", "n_heard=1"], "cannot be written"),
    ):
        with pytest.raises(SystemExit) as end:
            command(f"hydra.run.dir={tmp_path}/out", *arguments, verb="explore")
        assert said in f"{end.value.code}{capsys.readouterr().out}"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser_players_play_and_the_console_stays_empty(written):
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    complaints: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SLOW)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(SLOW)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url) if asked.url[:4] == "http" else None)
        page.goto(written.as_uri())
        page.wait_for_selector("body[data-ready]", state="attached")
        check_page(page)
        browser.close()
    assert complaints == []


def check_page(page) -> None:
    page.click("#play")
    page.wait_for_function("() => parseFloat(document.getElementById('time').textContent) > 0.1")
    page.click("#play-moments")
    page.wait_for_function("() => document.getElementById('moment').textContent.startsWith('1 of')")
    page.click("#play-decoded")
    page.wait_for_function("() => document.getElementById('moment').textContent.startsWith('1 of')")
    page.keyboard.press("d")
    assert page.is_checked("input[value=decoded]")
    page.click("#play-spectrum")
    title = page.text_content("#token-title")
    page.focus("#vocabulary-picture")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert page.text_content("#token-title") != title
    assert page.get_attribute("#vocabulary-picture", "aria-valuenow") == "7"
    before = page.input_value("#clip-choice")
    page.keyboard.press("n")
    assert page.input_value("#clip-choice") != before
    page.focus("#timeline")
    page.keyboard.press("ArrowRight")
    assert float(page.get_attribute("#timeline", "aria-valuenow")) > 0
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    for id_ in ("map", "spectrum", "perplexity", "zipf", "runs", "transitions"):
        assert page.locator(f"#{id_} .main-svg").count() > 0, id_
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, [role=slider], a")].filter((one) =>
            !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length)).length"""
    )
    assert unnamed == 0, "a screen reader has a name for everything that can be used"
