"""Where in a clip a class is heard: segment F1 (1 s) and event F1 (collar 0.5 s) of runs on strong labels.

    python benchmarks/timeline.py --events EVENTS.csv RUN... data=audioset data.root=DIR

Overrides choose the data, whose validation clips choose the length of windows and the threshold of each
class. Windows overlap by half. Chance compares what is found in one test clip with the events of another.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from configuration import compose_program
from report import write_json

import audiotok
from audiotok.data.corpus.corpus import open_corpus
from audiotok.evaluation.events import read_events
from audiotok.evaluation.matching import match
from audiotok.evaluation.timeline import COMPARE, chance, choose, counts, listen
from audiotok.experiment.configuration import build_node
from audiotok.store import Store

WINDOWS = (1.0, 2.0, 4.0)  # s


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table, and return the results by run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", required=True, help="table with id, onset, offset or duration, labels")
    parser.add_argument("--windows", type=float, nargs="+", default=WINDOWS, help="lengths to choose from, s")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("arguments", nargs="+", help="folders of runs, and Hydra overrides")
    options = parser.parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    config = compose_program([word for word in options.arguments if "=" in word])
    corpus = open_corpus(build_node(config.data), Store(config.cache_dir))
    results = {}
    for name in (word for word in options.arguments if "=" not in word):
        run = audiotok.load(name, "cpu")
        matching = match(corpus.classes, run.classes)
        classes = matching.classes
        events = read_events(options.events, classes)
        results[name] = measure(run, matching.of_run, corpus.clips, events, options.windows)
        for key, value in results[name].items():
            print(f"{name} {key}: {value:.4f}", flush=True)
    write_json(results, options.json)
    return results


def measure(run, columns, clips, events, windows) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Choose windows and thresholds on validation, and score the test clips."""
    validation = {}
    for window in windows:
        start = time.perf_counter()
        validation[window] = list(listen(run, columns, clips["val"], events, window, window / 2))
        print(f"validation, windows of {window:g} s: {time.perf_counter() - start:.0f} s", flush=True)
    results: dict[str, float] = {}
    tested: dict[float, list] = {}
    for name, compare in COMPARE.items():
        tried = {window: choose(heard, compare) for window, heard in validation.items()}
        f1 = {window: counts(validation[window], tried[window], compare).micro for window in windows}
        best = max(f1, key=lambda window: f1[window])
        if best not in tested:
            tested[best] = list(listen(run, columns, clips["test"], events, best, best / 2))
        test = counts(tested[best], tried[best], compare)
        results |= {f"val/{name}_f1/{window:g}s": value for window, value in f1.items()}
        results |= {
            f"{name}_window": best,
            f"test/{name}_f1": test.micro,
            f"test/{name}_f1_macro": test.macro,
        }
        results[f"chance/{name}_f1"] = chance(tested[best], tried[best], compare).micro
    return results


if __name__ == "__main__":
    main()
