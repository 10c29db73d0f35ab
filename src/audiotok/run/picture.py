"""Pictures of a clip and of a vocabulary, with axes in seconds and hertz, for run folders and loggers."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from audiotok.tokens.likeness import ranks, token_colours
from audiotok.tokens.quantizer import Quantizer
from audiotok.tokens.spectra import decoded_spectra

_DARK_TO_LIGHT = np.array([[13, 8, 60], [84, 39, 143], [187, 55, 84], [249, 142, 9], [252, 255, 164]], float)
_SIZE, _HEIGHTS, _GAP = 900, (260, 200), 14  # pixels: width of the plots, their heights, and between them
_LEFT, _TOP, _RIGHT, _BOTTOM = 66, 30, 24, 46  # pixels around the plots
_INK, _FONT = (40, 40, 40), 14
_RANGE_DB = 90.0  # dB below the loudest bin that are told apart
_HERTZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
_FAR = 26  # pixels between two ticks, at least


@dataclass(frozen=True)
class Strip:
    """A plot over the width of a picture.

    Args:
        pixels: uint8 (rows, columns, 3), the first row at the top.
        ticks: Places from the top of the plot, 0 .. 1, and what is written there.
        title: What the rows are.
    """

    pixels: np.ndarray
    ticks: list[tuple[float, str]]
    title: str


def clip_picture(
    analysis: np.ndarray,
    tokens: np.ndarray,
    centroids: np.ndarray,
    seconds: float,
    hertz: np.ndarray | None,
    title: str = "",
) -> Image.Image:
    """Draw the analysis of a clip above its tokens, both as wide as the clip is long.

    Tokens have one row for each codebook, and the colours of `tokens.likeness`.

    Args:
        analysis: (slices, bins)
        tokens: (T, Q)
        centroids: (Q, K, dimensions of a codebook)
        seconds: Length of the clip, s.
        hertz: Centres of the bins, ascending, Hz (bins,); None where bins are not frequencies.
        title: Written above.
    """
    strips = [
        _spectra(analysis, hertz),
        Strip(token_colours(tokens, centroids), _numbered(tokens.shape[1]), "codebook"),
    ]
    return _drawn(strips, _HEIGHTS, title, _seconds(seconds), "s")


def tokens_picture(tokenizer: Quantizer) -> Image.Image:
    """Draw what the tokens of a tokenizer stand for; centroids as they are where they have no spectrum."""
    centroids, spectra = tokenizer.codebooks.centroids.numpy(), decoded_spectra(tokenizer)
    if spectra is None:
        return vocabulary_picture(centroids, centroids, None)
    return vocabulary_picture(spectra, centroids, tokenizer.features.bin_hertz)


def vocabulary_picture(
    spectra: np.ndarray, centroids: np.ndarray, hertz: np.ndarray | None, title: str = ""
) -> Image.Image:
    """Draw what the tokens of each codebook stand for: a plot for each, its tokens side by side by likeness.

    Args:
        spectra: (Q, K, bins)
        centroids: (Q, K, dimensions of a codebook)
        hertz: Centres of the bins, ascending, Hz (bins,); None where bins are not frequencies.
        title: Written above.
    """
    order = ranks(centroids).argsort(1)
    sorted_spectra = np.take_along_axis(spectra, order[..., None], 1)
    n_books, n_clusters, _ = spectra.shape
    strips = [_spectra(book, hertz, f"codebook {number}") for number, book in enumerate(sorted_spectra, 1)]
    ticks = [(0.0, "1"), (1.0, f"{n_clusters} tokens, similar ones side by side")]
    return _drawn(strips, (max(70, 240 // n_books),) * n_books, title, ticks, "")


def light(shares: np.ndarray) -> np.ndarray:
    """Return the colours of levels: 0 (dark) .. 1 (light) of any shape to uint8 (..., 3)."""
    stops = np.linspace(0, 1, len(_DARK_TO_LIGHT))
    channels = [np.interp(shares, stops, channel) for channel in _DARK_TO_LIGHT.T]
    return np.stack(channels, -1).round().astype(np.uint8)


def _spectra(values: np.ndarray, hertz: np.ndarray | None, title: str = "") -> Strip:
    """Return the plot of spectra (columns, bins), the lowest bin at the bottom."""
    values = np.nan_to_num(values.astype(np.float64))
    high = values.max(initial=-np.inf)
    low = values.min(initial=np.inf)
    if hertz is not None:
        low = max(low, high - _RANGE_DB)
    shares = (values.T[::-1] - low) / (high - low if high > low else 1.0)
    n_bins = values.shape[1]
    if hertz is None:
        return Strip(light(shares), [(0.0, str(n_bins)), (1.0, "1")], title or "dimension")
    inside = [tick for tick in _HERTZ if hertz[0] <= tick <= hertz[-1]]
    bins = np.interp(inside, hertz, np.arange(n_bins))
    ticks = [(1 - (place + 0.5) / n_bins, _kilohertz(tick)) for place, tick in zip(bins, inside, strict=True)]
    return Strip(light(shares), ticks[::-1], f"Hz, {title}" if title else "Hz")


def _kilohertz(hertz: int) -> str:
    return f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)


def _numbered(n_rows: int) -> list[tuple[float, str]]:
    step = -(-n_rows // 8)
    return [((row - 0.5) / n_rows, str(row)) for row in range(step, n_rows + 1, step)]


def _seconds(seconds: float) -> list[tuple[float, str]]:
    """Return at most ten ticks of time, as places from the left."""
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300) if seconds / s <= 10), seconds or 1.0)
    return [(time / seconds, f"{time:g}") for time in np.arange(0, seconds + step / 1e3, step).round(1)]


def _drawn(
    strips: list[Strip], heights: tuple[int, ...], title: str, ticks: list[tuple[float, str]], unit: str
) -> Image.Image:
    """Draw plots below each other over one horizontal axis."""
    tall = sum(heights) + _GAP * (len(strips) - 1)
    image = Image.new("RGB", (_LEFT + _SIZE + _RIGHT, _TOP + tall + _BOTTOM), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_LEFT, 6), title[:110], _INK, ImageFont.load_default(_FONT))
    top = _TOP
    for strip, height in zip(strips, heights, strict=True):
        plot = Image.fromarray(strip.pixels).resize((_SIZE, height), Image.Resampling.NEAREST)
        image.paste(plot, (_LEFT, top))
        _draw_rows(image, draw, strip, top, height)
        top += height + _GAP
    bottom = _TOP + tall
    for place, text in ticks:
        x = _LEFT + place * _SIZE
        draw.line([(x, bottom), (x, bottom + 4)], _INK)
        width = draw.textlength(text, ImageFont.load_default(_FONT))
        draw.text(
            (min(x - width / 2, _LEFT + _SIZE + _RIGHT - width - 2), bottom + 7),
            text,
            _INK,
            ImageFont.load_default(_FONT),
        )
    draw.text((_LEFT + _SIZE + 8, bottom + 22), unit, _INK, ImageFont.load_default(_FONT))
    return image


def _draw_rows(image: Image.Image, draw: ImageDraw.ImageDraw, strip: Strip, top: int, height: int) -> None:
    """Write the ticks of a plot on its left, as far as they do not touch, and what its rows are, upright."""
    above = -float(_FAR)
    for place, text in strip.ticks:
        y = place * height
        if y - above < _FAR:
            continue
        above = y
        draw.line([(_LEFT - 4, top + y), (_LEFT, top + y)], _INK)
        width = draw.textlength(text, ImageFont.load_default(_FONT))
        draw.text((_LEFT - 7 - width, top + y - 9), text, _INK, ImageFont.load_default(_FONT))
    length = round(draw.textlength(strip.title, ImageFont.load_default(_FONT)))
    label = Image.new("RGB", (max(1, length), 18), "white")
    ImageDraw.Draw(label).text((0, 0), strip.title, _INK, ImageFont.load_default(_FONT))
    upright = label.rotate(90, expand=True)
    image.paste(upright, (4, top + (height - upright.height) // 2))
