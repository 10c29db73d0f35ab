"""The reliability diagram of a test: how often what has a probability is so, before and after calibration."""

import math

from PIL import Image, ImageDraw, ImageFont

from audiotok.training.predictions import Predictions
from audiotok.training.reliability import reliability

_SIZE, _LEFT, _TOP, _SIDE = (680, 680), 90, 50, 540  # pixels: picture, place and side of the square
_FINER = 2  # drawn so many times as large, and made smaller, for smooth lines
_BEFORE, _AFTER, _FRAME, _INK = (249, 142, 9), (84, 39, 143), (190, 190, 190), (40, 40, 40)


def reliability_diagram(predictions: Predictions) -> Image.Image:
    """Draw shares of hits over mean probabilities, a dot for each bin: larger for more statements.

    On the diagonal, what has a probability of 0.7 is so in 7 of 10 cases. With sigmoid the dots are of all
    classes together, and the error is the mean of those of the classes.
    """
    activation = predictions.calibration.activation
    unit = ", mean of classes" if activation == "sigmoid" else ""
    image = Image.new("RGB", (_FINER * _SIZE[0], _FINER * _SIZE[1]), "white")
    draw = ImageDraw.Draw(image)
    _draw_axes(draw)
    kinds = (
        ("not calibrated", predictions.scores, _BEFORE),
        ("calibrated", predictions.probabilities, _AFTER),
    )
    for place, (name, probabilities, colour) in enumerate(kinds):
        found = reliability(probabilities, predictions.targets, activation)
        _draw_curve(draw, found.rows(), colour)
        _write(draw, 270, 530 + 24 * place, f"{name}: calibration error {found.error():.3f}{unit}", colour)
    return image.resize(_SIZE, Image.Resampling.LANCZOS)


def _place(x: float, y: float) -> tuple[float, float]:
    """Return where a probability and a share lie in the picture."""
    return _FINER * (_LEFT + _SIDE * x), _FINER * (_TOP + _SIDE * (1 - y))


def _draw_axes(draw: ImageDraw.ImageDraw) -> None:
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        draw.line([_place(tick, 0), _place(tick, 1)], _FRAME, 1)
        draw.line([_place(0, tick), _place(1, tick)], _FRAME, 1)
        _write(draw, _LEFT + _SIDE * tick - 14, _TOP + _SIDE + 8, f"{tick:g}")
        _write(draw, _LEFT - 48, _TOP + _SIDE * (1 - tick) - 10, f"{tick:g}")
    draw.line([_place(0, 0), _place(1, 1)], _INK, _FINER)
    _write(draw, _LEFT + _SIDE / 2 - 90, _TOP + _SIDE + 44, "probability (mean of a bin)")
    _write(draw, 10, 14, "share that is so, on the test clips")


def _draw_curve(draw: ImageDraw.ImageDraw, rows: list[list[float]], colour: tuple[int, int, int]) -> None:
    places = [_place(mean, share) for _, mean, share in rows]
    if len(places) > 1:
        draw.line(places, colour, 2 * _FINER)
    for (x, y), (n, _, _) in zip(places, rows, strict=True):
        radius = _FINER * (2 + math.log10(n))
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)


def _write(
    draw: ImageDraw.ImageDraw, x: float, y: float, text: str, colour: tuple[int, int, int] = _INK
) -> None:
    draw.text((_FINER * x, _FINER * y), text, colour, ImageFont.load_default(_FINER * 16))
