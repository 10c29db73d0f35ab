"""Make `docs/compare.png`, the README's picture of the page that `audiotok compare` writes.

    python docs/make_compare_picture.py

A small sweep trains on the embedded dataset, in a temporary folder, which takes a few minutes. Then
playwright (`pip install playwright`) takes the picture with Chromium. It is reduced to 64 colours, 60 kB.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from audiotok.compare.page import compare

TRAIN = Path(__file__).parents[1] / "train.py"
PICTURE = Path(__file__).with_name("compare.png")
SWEEP = ["clustering.n_clusters=64,256", "optimizer.lr=1e-3,3e-3", "seed=0,1"]
SMALL = ["model=bag", "data.n_train_clips=200", "trainer.max_epochs=6", "logger=none"]
LEFT_OUT = ["figure:has(#classes)", "section:has(#intervals)"]
WIDTH, N_COLOURS = 1280, 64


def main() -> None:
    """Train, compare and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        runs, page = Path(name, "runs"), Path(name, "compare.html")
        command = [sys.executable, str(TRAIN), "-m", *SWEEP, *SMALL, f"hydra.sweep.dir={runs}"]
        subprocess.run(command, check=True)
        compare([runs], page, "test/mAP")
        screenshot = Image.open(io.BytesIO(photograph(page)))
    screenshot.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {screenshot.width} x {screenshot.height}, {PICTURE.stat().st_size / 1000:.0f} kB")


def photograph(page: Path) -> bytes:
    """Return a PNG of the runs, of the worst and the best of them as A and B, and of the learning curves."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 1100})
        tab.goto(page.as_uri())
        tab.wait_for_selector("body[data-ready]", state="attached")
        tab.locator("tbody tr:last-child input[type=radio]").first.check()
        for plot in LEFT_OUT:
            tab.evaluate("(selector) => { document.querySelector(selector).hidden = true; }", plot)
        curves = tab.locator("section:has(#curves)").bounding_box()
        assert curves is not None
        height = curves["y"] + curves["height"]
        picture = tab.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()
    return picture


if __name__ == "__main__":
    main()
