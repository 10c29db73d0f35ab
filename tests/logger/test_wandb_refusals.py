"""W&B refuses names before training, and a server that does not answer costs a run nothing but its time."""

import pytest
import wandb

from audiotok.errors import UserError
from audiotok.logger import wandb as logger


@pytest.mark.parametrize(
    ("key", "setting", "value"),
    [("project", "project", "a/b"), ("project", "project", "x" * 129), ("tags", "run_tags", ["x" * 70])],
)
def test_names_that_wandb_refuses_are_one_sentence(key, setting, value):
    with pytest.raises(UserError, match=rf"^logger\.{key}=.* is refused by W&B ") as raised:
        logger._check_name(key, value, **{setting: value})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [wandb.errors.CommError, wandb.errors.UsageError])
def test_a_server_that_cannot_be_had_is_told_and_the_run_goes_on_offline(
    error, tmp_path, monkeypatch, caplog
):
    modes = []

    def init(*, mode: str, settings: wandb.Settings, **_: object) -> str:
        modes.append(mode)
        assert settings.init_timeout <= 15
        if mode == "online":
            raise error("connection refused\nConsider this.")
        return "run"

    monkeypatch.setattr(wandb, "init", init)
    caplog.set_level("INFO", "audiotok")
    assert logger._start("online", "", dir=tmp_path) == "run"
    assert modes == ["online", "offline"]
    assert "W&B is offline (connection refused): browse with" in caplog.text


@pytest.mark.parametrize(
    ("asked", "mode"),
    [("disabled", "disabled"), ("offline", "offline"), ("dryrun", "offline"), ("online", "online")],
)
def test_what_the_environment_asks_for_is_done(asked, mode, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", asked)
    assert logger._resolve("auto") == mode
