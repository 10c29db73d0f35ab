"""The page in a browser: it opens from a file without an error, sorts, filters, averages and compares."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiotok.compare.page import compare

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLOW = 240_000  # ms; a busy machine takes its time to unpack plotly
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SLOW)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, twelve_runs, tmp_path_factory) -> Iterator:
    """The page of twelve runs and one that failed, and what went to the console or the network."""
    folder = tmp_path_factory.mktemp("opened")
    shutil.copytree(twelve_runs, folder / "runs")
    (folder / "runs" / "failed").mkdir()
    (folder / "runs" / "failed" / "error.txt").write_text("it was the <b>disk</b>")
    compare([folder / "runs"], folder / "page.html", "test/mAP")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(SLOW)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url[:4] == "http" else None)
    page.goto(Path(folder / "page.html").as_uri())
    page.wait_for_selector("body[data-ready]", state="attached")
    yield page, complaints
    page.close()


@pytest.fixture
def page(opened) -> Iterator:
    page, complaints = opened
    yield page
    assert complaints == []


def column(page, label: str) -> list[str]:
    """Return the cells below a heading, as they are shown."""
    return page.evaluate(
        """(label) => {
            const headings = [...document.querySelectorAll("thead th")].map((heading) => heading.textContent);
            const rows = [...document.querySelectorAll("tbody tr")];
            return rows.map((row) => row.children[headings.indexOf(label)].textContent);
        }""",
        label,
    )


def choose(page, text: str) -> None:
    page.fill("#filter", text)
    page.wait_for_timeout(300)


def plot_text(page, id_: str) -> str:
    return page.eval_on_selector(f"#{id_}", "plot => plot.textContent")


def test_all_plots_are_drawn_and_nothing_is_wider_than_the_window(page):
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(300)
        for id_ in ("difference", "scatter", "classes", "intervals", "curves", "parallel", "importance"):
            assert page.locator(f"#{id_} .main-svg").count() > 0, id_
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_failed_run_is_told_as_text(page):
    assert "1 run with missing or damaged files" in page.text_content("#notes")
    assert "failed: it failed: it was the <b>disk</b>" in page.text_content("#notes")


def test_a_click_on_a_heading_sorts_numbers_as_numbers_and_back(page):
    assert page.get_attribute("thead th:has-text('test/mAP')", "aria-sort") == "descending"
    shown = column(page, "test/mAP")
    assert shown[-1] == "–"
    assert shown[:-1] == sorted(shown[:-1], reverse=True)
    page.click("thead button:text-is('n_clusters')")
    sizes = [int(size) for size in column(page, "n_clusters")[:-1]]
    assert sizes == sorted(sizes)
    assert len(set(map(len, map(str, sizes)))) > 1, "texts would sort differently"
    page.click("thead button:text-is('n_clusters')")
    assert page.get_attribute("thead th:has-text('n_clusters')", "aria-sort") == "descending"
    assert [int(size) for size in column(page, "n_clusters")[:-1]] == sorted(sizes, reverse=True)
    page.click("thead button:text-is('test/mAP')")


def test_the_filter_takes_words_and_conditions_and_says_what_it_does_not_know(page):
    size = column(page, "n_clusters")[0]
    choose(page, f"n_clusters={size} seed!=0")
    assert set(column(page, "n_clusters")) == {size}
    assert "0" not in column(page, "seed")
    n_shown = len(column(page, "run"))
    assert page.text_content("#count") == f"{n_shown} of 13 runs"
    choose(page, "test/mAP>=0.0")
    assert page.text_content("#count") == "12 of 13 runs"
    choose(page, "FAILED")
    assert page.text_content("#count") == "1 of 13 runs"
    choose(page, "n_cluster=2")
    assert page.text_content("#count") == "No column is called n_cluster"
    choose(page, "")
    assert page.text_content("#count") == "13 of 13 runs"


def test_seeds_are_averaged_with_their_deviation(page):
    assert page.is_visible("#grouped")
    page.check("#grouped")
    scores = column(page, "test/mAP")
    assert len(scores) == 5  # four settings, and the run that failed
    assert sum(" ± " in score for score in scores) == 4
    assert page.text_content("#count") == "5 settings"
    page.uncheck("#grouped")
    assert len(column(page, "test/mAP")) == 13


def test_two_runs_that_are_ticked_are_compared(page):
    page.check("input[name=a] >> nth=2")
    page.check("input[name=b] >> nth=0")
    names, scores = column(page, "run"), column(page, "test/mAP")
    verdict = page.text_content("#verdict")
    assert verdict.startswith(
        f"A is {names[2]}, B is {names[0]}. Test mAP {scores[2]} and {scores[0]}: B − A is +"
    )
    assert "B is ahead in" in verdict
    assert "classes that gained most" in page.text_content("#classes-caption")
    assert "Class number" in plot_text(page, "classes")
    page.check("input[name=a] >> nth=0")
    assert page.text_content("#verdict").endswith("They are the same run.")
    page.check("input[name=a] >> nth=12")
    assert "A has no predictions" in page.text_content("#verdict")
    page.check("input[name=a] >> nth=1")
