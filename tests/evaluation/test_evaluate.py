"""`audiotok evaluate`: classes, splits, results, events, and what is refused."""

import json
import re

import numpy as np
import pytest
from runs import SYNTHETIC, command

from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.evaluation.detection import Event
from audiotok.evaluation.events import read_events
from audiotok.evaluation.matching import match
from audiotok.evaluation.timeline import COMPARE, Heard, chance, choose, counts, moments
from audiotok.prediction.results import Scores

DOG, CAT, RAIN = SoundClass("/m/1", "Dog"), SoundClass("/m/2", "Cat"), SoundClass("/m/3", "Rain")


def test_classes_match_by_id_and_then_by_name():
    matching = match([SoundClass("x", "cat"), DOG, SoundClass("y", "Bird")], [DOG, CAT, RAIN])
    assert [one.id for one in matching.classes] == ["x", "/m/1"]
    assert matching.of_data.tolist() == [0, 1]
    assert matching.of_run.tolist() == [1, 0]
    first, second = matching.sentences()
    assert first == "1 classes of the data are not known to the run, and are not scored: Bird."
    assert second == "1 classes of the run are not in the data, and their scores are left out: Rain."
    with pytest.raises(
        UserError, match=r"^No class of the data .* has Dog, and the run Cat, Rain; give data"
    ):
        match([DOG], [CAT, RAIN])


def test_a_table_of_events_is_read_by_its_usual_names(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(
        'filename;onset;duration;labels\nin/a.wav;1.0;0.5;"/m/1,Cat"\na.wav;1.25;1;dog\nb;0;1;Bird\n'
    )
    assert read_events(str(path), [DOG, CAT]) == {"a": [Event(1.0, 1.5, 1), Event(1.0, 2.25, 0)], "b": []}
    path.write_text("id,start,end,label\na,0.5,1,Dog\n")
    assert read_events(str(path), [DOG]) == {"a": [Event(0.5, 1.0, 0)]}
    for text, words in (
        ("id,onset,labels\n", "has no column duration"),
        ("id,start,end,label\na,2,1,Dog\n", "csv:2: an event ends at 1 s and begins at 2 s"),
        ("id,start,end,label\na,2,late,Dog\n", "csv:2: 'late' is not a time"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=re.escape(words)):
            read_events(str(path), [DOG])


def heard(scores, events, classes=(DOG, CAT)):
    edges = np.arange(len(scores) + 1.0)
    return Heard(Scores("a", edges[:-1], edges[1:], classes, np.array(scores, np.float32)), events)


def test_overlapping_windows_are_averaged():
    starts, scores = np.array([0.0, 1.0, 2.0]), np.array([[0.2], [0.4], [0.9]], np.float32)
    averaged = moments(Scores("a", starts, starts + 2, [DOG], scores))
    assert averaged.starts.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert averaged.ends.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert averaged.scores[:, 0].tolist() == pytest.approx([0.2, 0.3, 0.65, 0.9])


@pytest.mark.parametrize("name", COMPARE)
def test_chosen_thresholds_find_what_can_be_told_apart(name):
    clips = [
        heard([[0.3, 0.1], [0.6, 0.1], [0.7, 0.0], [0.2, 0.0]], [Event(1.0, 3.0, 0)]),
        heard([[0.1, 0.1], [0.2, 0.1], [0.1, 0.0], [0.9, 0.0]], [Event(3.0, 4.0, 0)]),
    ]
    thresholds = choose(clips, COMPARE[name])
    assert counts(clips, thresholds, COMPARE[name]).micro == 1.0
    assert thresholds[1] == 1.0, "no clip has that class"
    assert chance(clips, thresholds, COMPARE[name]).micro == 0.0


def test_a_run_scored_on_its_own_data_has_its_own_scores(plain_run, tmp_path, capsys):
    folder, trained = plain_run
    ids = np.load(folder / "predictions.npz")["ids"]
    classes = [line.split(",")[1] for line in (folder / "per_class.csv").read_text().splitlines()[1:]]
    rows = "".join(f"{id_},0.1,0.6,{classes[i % 3]}\n" for i, id_ in enumerate(ids))
    (tmp_path / "events.csv").write_text("id,onset,offset,label\n" + rows)
    command(
        str(folder), "data=synthetic", *SYNTHETIC, f"hydra.run.dir={tmp_path}/out", "device=cpu",
        f"events={tmp_path}/events.csv", "window=0.5", "overlap=0", verb="evaluate",
    )  # fmt: skip
    results = json.loads((tmp_path / "out" / "metrics.json").read_text())
    of_test = {key for key in trained if key.startswith("test/")} - {"test/loss"}
    for key in of_test | {"chance/mAP", "n_test_clips", "n_classes"}:
        assert results[key] == pytest.approx(trained[key], abs=1e-5), key
    assert results["n_event_clips"] == len(ids)
    assert 0 <= results["test/event_f1"] <= results["test/segment_1s_f1"] <= 1
    ours, theirs = (np.load(at / "predictions.npz") for at in (tmp_path / "out", folder))
    for name in ("ids", "classes", "targets"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert (tmp_path / "out" / "per_class.csv").is_file()
    assert "thresholds are from the run's validation" in capsys.readouterr().out


def test_clips_of_training_are_not_scored(plain_run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        command(
            str(plain_run[0]), "data=synthetic", *SYNTHETIC, f"hydra.run.dir={tmp_path}/out", "split=all",
            verb="evaluate",
        )  # fmt: skip
    assert re.search(
        r"split=all contains the \d+ clips that .* was trained on; choose split=test", capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "audiotok evaluate needs a finished run"),
        (["nowhere", "data=synthetic"], "nowhere does not exist"),
        (["table.csv", "data=synthetic"], "table.csv is not a checkpoint"),
        (["RUN"], "audiotok evaluate needs data; add data=OPTION"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(plain_run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").touch()
    with pytest.raises(SystemExit) as end:
        command(*[str(plain_run[0]) if one == "RUN" else one for one in arguments], verb="evaluate")
    assert words in str(end.value)
