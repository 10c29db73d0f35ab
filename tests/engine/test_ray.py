"""Ray: what only it can get wrong. What it shares with the others is in test_every_engine."""

import sys

import pytest

from audiotok.errors import UserError

pytest.importorskip("ray", reason="ray is not installed: pip install 'audiotok[ray]'")

from audiotok.engine.ray import Ray


def test_a_missing_ray_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray.data", raising=False)
    with pytest.raises(UserError, match=r"pip install 'audiotok\[ray\]'"):
        Ray()


def test_workers_of_a_cluster_are_not_ours_to_count():
    with pytest.raises(UserError, match=r"engine.n_workers=2 .*engine.address=auto is a cluster"):
        Ray("auto", n_workers=2)


@pytest.mark.parametrize("arguments", [{"n_workers": 0}, {"retries": -1}])
def test_numbers_that_make_no_sense_are_told(arguments):
    with pytest.raises(UserError, match=r"engine\.\w+=.*; choose"):
        Ray(**arguments)


def test_a_cluster_that_is_not_there_is_told(monkeypatch):
    import ray

    def refuse(*_, **__):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UserError, match=r"engine.address=auto is not a Ray cluster"):
        list(Ray("auto").map(abs, [1]))
