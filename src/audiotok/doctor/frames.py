"""Silence, and what normalisation leaves of frames."""

import torch
from torch import Tensor

from audiotok.doctor.finding import Finding, NotMadeError, graded, worst
from audiotok.doctor.subject import Excerpt
from audiotok.features.features import Features
from audiotok.padding import is_position

_SILENT_DB = 1.0  # above the floor: dither and rounding errors
_CONSTANT_DB = 0.5  # range over time of every bin: float16 rounds to sixteenths
# Share of silent or constant clips: a few teach labels without sound; with most, nothing else is learnt.
SOME_MUTE, MOST_MUTE = 0.05, 0.5
# Share of silent slices: the short sounds of ESC-50 are padded to 5 s with digital silence and still learnt.
SILENT_SLICES, ONLY_SILENT_SLICES = 0.6, 0.95
# In flat slices all bins are equal: they tell that there is sound, but not which. 13 % of soundscapes at
# features.range_db=40, where the quiet moments between sounds are below the range.
_FLAT = 5e-3  # range over the bins, dB or share of a clip's range
SOME_FLAT, MOST_FLAT = 0.6, 0.9
# BatchNorm adds 1e-5 to variances, in which standard deviations below 0.003 vanish.
FAINT, VANISHING = 3e-2, 3e-3  # median standard deviation of the dimensions


def sound(excerpt: Excerpt, features: Features) -> Finding:
    """Count clips that are silent, or constant: no bin changes over time.

    Raises:
        NotMadeError: The analysis is not in decibels.
    """
    analysis, inside = excerpt.analysis.float(), is_position(excerpt.n_slices, excerpt.analysis.shape[1])
    silent = _silent(analysis, features) & inside
    mute = (silent | ~inside).all(1)
    high = analysis.masked_fill(~inside[..., None], -torch.inf).amax(1)  # (N, bins)
    low = analysis.masked_fill(~inside[..., None], torch.inf).amin(1)
    constant = ~mute & ((high - low).amax(1) < _CONSTANT_DB) & (excerpt.n_slices > 1)
    of_clips = float((mute | constant).float().mean())
    of_slices = float(silent.sum() / inside.sum())
    state = worst(
        graded(of_clips, SOME_MUTE, MOST_MUTE), graded(of_slices, SILENT_SLICES, ONLY_SILENT_SLICES)
    )
    return Finding(
        "sound",
        state,
        f"Of {len(excerpt):,} training clips {int(mute.sum()):,} are silent and {int(constant.sum()):,} "
        f"constant; {100 * of_slices:.0f} % of their {features.analysis_name} are silent.",
        "" if state == "good" else _OF_SOUND,
        {"silent_clips": int(mute.sum()), "constant_clips": int(constant.sum()), "silent_frames": of_slices},
    )


_OF_SOUND = "Listen to a few; data.check=decode and data.limits.silence_db skip silent clips."


def normalization(excerpt: Excerpt, features: Features) -> Finding:
    """Measure whether frames that are not silent still differ after normalisation.

    Raises:
        NotMadeError: All frames are silent, or the analysis is not in decibels.
    """
    analysis, inside = excerpt.analysis.float(), is_position(excerpt.n_slices, excerpt.analysis.shape[1])
    sounding = inside & ~_silent(analysis, features)
    if not sounding.any():
        raise NotMadeError("all frames are silent")
    normal = features.normalize(analysis, excerpt.n_slices)
    flat = float((normal.amax(2) - normal.amin(2) <= _FLAT)[sounding].float().mean())
    deviation = excerpt.frames[excerpt.positions].std(0)  # (D,)
    low, median, high = (float(deviation.quantile(q)) for q in (0.0, 0.5, 1.0))
    state = worst(graded(flat, SOME_FLAT, MOST_FLAT), graded(median, FAINT, VANISHING))
    return Finding(
        "normalization",
        state,
        f"After normalisation {100 * flat:.0f} % of the {features.analysis_name} that are not silent are "
        f"flat; frames have a standard deviation of {median:.3g} (median of the dimensions; {low:.2g} to "
        f"{high:.2g}).",
        "" if state == "good" else _OF_NORMALIZATION,
        {"flat_frames": flat, "median_deviation": median, "smallest_deviation": low},
    )


_OF_NORMALIZATION = "Widen features.range_db, or choose another features.normalization."


def _silent(analysis: Tensor, features: Features) -> Tensor:
    """Return which slices of an analysis (N, slices, bins) are at the floor, bool (N, slices)."""
    if features.floor_db is None:
        raise NotMadeError(f"the analysis of {type(features).__name__} features is not in decibels")
    return analysis.amax(2) <= features.floor_db + _SILENT_DB
