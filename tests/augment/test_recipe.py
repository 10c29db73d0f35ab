"""The shipped recipe switches everything off."""

from pathlib import Path
from typing import Any

import torch
import yaml

from audiotok.augment.mixup import Mixup
from audiotok.augment.recipe import Recipe
from audiotok.augment.sound import Sound
from audiotok.augment.words import Words

SHIPPED = Path(__file__).parents[2] / "configs" / "augment" / "none.yaml"


def numbers(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "_target_"}


def test_the_recipe_none_changes_nothing():
    settings = yaml.safe_load(SHIPPED.read_text())
    recipe = Recipe(
        sound=Sound(**numbers(settings["sound"])),
        words=Words(**numbers(settings["words"])),
        mixup=Mixup(**numbers(settings["mixup"])),
    )
    mel, n_mel, targets = torch.randn(3, 8, 5) - 50, torch.tensor([8, 5, 1]), torch.eye(3)
    tokens, centroids = torch.randint(6, (3, 8, 2)), torch.randn(2, 6, 4)
    generator = torch.Generator().manual_seed(0)
    sound = recipe.sound(mel, n_mel, targets, -100.0, generator)
    assert all(torch.equal(*pair) for pair in zip(sound, (mel, n_mel, targets), strict=True))
    assert torch.equal(recipe.words(tokens, recipe.words.neighbors(centroids), generator), tokens)
    assert recipe.mixup(mel, n_mel, targets)[0] is mel
