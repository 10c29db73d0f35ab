"""Which keys become columns, and under which names."""

import numpy as np

from audiotok.compare.importance import MIN_RUNS, importance
from audiotok.compare.settings import Setting, differing


def keys(*configurations: dict) -> list[str]:
    return [setting.key for setting in differing(configurations)]


def test_only_settings_that_differ_are_columns():
    assert keys({"seed": 0, "optimizer.lr": 1e-3}, {"seed": 0, "optimizer.lr": 1e-4}) == ["optimizer.lr"]


def test_what_was_interpolated_from_another_key_follows_it():
    runs = [{"seed": n, "loader.seed": n, "data.seed": n, "data.fold": n} for n in range(3)]
    first, second = differing(runs)
    assert (first.key, first.implied) == ("seed", ("loader.seed", "data.seed"))
    assert (second.key, second.implied) == ("data.fold", ())


def test_keys_that_come_with_an_option_follow_it_until_they_differ_themselves():
    bag = {"model.width": 8, "model._target_": "audiotok.model.bag.Bag"}
    bert = {"model.num_layers": 2, "model.heads": 4, "model._target_": "audiotok.model.bert.Bert"}
    [model] = differing([bag, bert])
    assert (model.label, model.values) == ("model", ("Bag", "Bert"))
    assert set(model.implied) == {"model.width", "model.num_layers", "model.heads"}
    assert keys(bag, bert, {**bert, "model.num_layers": 4}) == ["model._target_", "model.num_layers"] or keys(
        bag, bert, {**bert, "model.num_layers": 4}
    ) == ["model.num_layers", "model._target_"]


def test_settings_of_one_group_that_are_always_there_are_told_apart():
    assert keys({"o.lr": 1, "o.decay": 2}, {"o.lr": 3, "o.decay": 4}) == ["o.lr", "o.decay"]


def test_a_run_without_configuration_makes_no_column_and_has_no_value():
    assert keys({"a": 1}, {}, {"a": 1}) == []
    [setting] = differing([{"a": 1}, {}, {"a": 2}])
    assert setting.values == (1, None, 2)


def test_labels_are_the_shortest_ends_that_are_no_other_keys():
    runs = [{"a.n": n, "b.n": -n, "c.d.rate": 2 * n, "seed": n} for n in range(2)]
    assert {setting.key: setting.label for setting in differing(runs)} == {
        "a.n": "a.n",
        "b.n": "b.n",
        "c.d.rate": "rate",
        "seed": "seed",
    }


def test_null_and_a_missing_key_are_different_values():
    [setting] = differing([{"a": 0, "x.k": None}, {"a": 0}])
    assert setting.values == ("null", None)


def test_what_is_no_finite_number_is_text():
    nan, inf = float("nan"), float("inf")
    [setting] = differing([{"a": nan, "b": nan}, {"a": inf, "b": nan}, {"a": 0.5, "b": nan}])
    assert (setting.key, setting.values) == ("a", ("nan", "inf", 0.5))


def column(label: str, values) -> Setting:
    return Setting(label, label, tuple(values), ())


def test_the_setting_that_makes_the_score_is_the_important_one():
    rng = np.random.default_rng(0)
    model, noise = rng.choice(["bag", "bert", "cnn"], 40).tolist(), rng.normal(size=40).tolist()
    scores = np.array([{"bag": 0.1, "bert": 0.5, "cnn": 0.3}[name] for name in model]) + 0.01 * rng.normal(
        size=40
    )
    scores[3] = np.nan
    settings = [
        column("noise", noise),
        column("model", model),
        column("alias", [f"x{name}" for name in model]),
    ]
    found = importance(settings, scores)
    assert [label for label, _ in found.losses] == ["model = alias", "noise"]
    assert found.explained > 0.9
    assert found.losses[0][1] > 1
    assert abs(found.losses[1][1]) < 0.05
    assert found == importance(settings, scores)


def test_few_runs_or_equal_scores_have_no_importance():
    setting = column("a", [n % 2 for n in range(MIN_RUNS)])
    few = np.arange(float(MIN_RUNS))
    few[0] = np.nan
    assert importance([setting], few) is None
    assert importance([setting], np.ones(MIN_RUNS)) is None
    assert importance([], np.arange(float(MIN_RUNS))) is None
