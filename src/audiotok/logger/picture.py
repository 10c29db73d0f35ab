"""Arrays as pictures: mel frames, tokens and centroids, for loggers that show images."""

import numpy as np
from PIL import Image

_DARK_TO_LIGHT = np.array([[13, 8, 60], [84, 39, 143], [187, 55, 84], [249, 142, 9], [252, 255, 164]], float)


def picture(values: np.ndarray, height: int) -> Image.Image:
    """Draw an array: its least value dark, its greatest light, its first row at the bottom.

    Args:
        values: (rows, columns).
        height: Height of the picture in pixels, to which rows are stretched; columns are 4 pixels wide.
    """
    low, high = float(values.min()), float(values.max())
    shares = (values[::-1] - low) / (high - low if high > low else 1.0)
    stops = np.linspace(0, 1, len(_DARK_TO_LIGHT))
    channels = [np.interp(shares, stops, channel) for channel in _DARK_TO_LIGHT.T]
    image = Image.fromarray(np.stack(channels, -1).round().astype(np.uint8))
    return image.resize((4 * values.shape[1], height), Image.Resampling.NEAREST)
