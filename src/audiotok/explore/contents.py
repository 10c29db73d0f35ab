"""What the page shows, in types that JSON knows; arrays of numbers are base64 of their bytes."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from audiotok.clustering.codebooks import Codebooks
from audiotok.data.clip import SoundClass
from audiotok.explore import counts
from audiotok.explore.clips import Clips, centres, fewer_bins, smaller, spectrogram
from audiotok.explore.selection import choose, ranked
from audiotok.explore.sound import as_mp3, peaks
from audiotok.explore.subject import Subject
from audiotok.loader.waveforms import WaveformReader
from audiotok.run.picture import light
from audiotok.tokens.likeness import colours, places, ranks
from audiotok.tokens.spectra import decoded_sound, decoded_spectra

_N_NEIGHBOURS, _N_CLASSES, _N_TELLING, _N_EXTREMES, _N_TAGS = 8, 3, 16, 4, 5
_MOST_SECONDS = 800.0  # of sound in the page


def of_vocabulary(subject: Subject) -> dict[str, Any]:
    """Return what is known of tokens without any clip."""
    codebooks = subject.tokenizer.codebooks
    centroids = codebooks.centroids.cpu().numpy()
    order, features = ranks(centroids), subject.tokenizer.features
    spread = places(centroids)
    spread /= np.maximum(np.abs(spread).max((1, 2), keepdims=True), 1e-12)
    shares = np.linspace(0, 1, 64)
    spectra, hertz = _spectra(decoded_spectra(subject.tokenizer)), features.bin_hertz
    return {
        "name": subject.name,
        "n_codebooks": codebooks.n_codebooks,
        "n_clusters": codebooks.n_clusters,
        "token_seconds": features.frame_seconds,
        "ranks": _packed(order, np.uint16),
        "places": _packed(np.round(127 * spread), np.int8),
        "neighbours": _packed(_neighbours(codebooks), np.uint16),
        "likeness": colours(shares).tolist(),
        "levels": light(shares).tolist(),
        "decoded": None if hertz is None else spectra,
        "decoded_hertz": None if hertz is None else centres(hertz.tolist()),
    }


def of_clips(
    subject: Subject, clips: Clips, classes: Sequence[SoundClass], n_heard: int
) -> tuple[dict[str, Any], list[str]]:
    """Return what clips say about tokens and classes, and the sounds of some of them.

    Args:
        subject: The run or the tokenizer.
        clips: Read.
        classes: Of the labels of the clips: first those that the run knows.
        n_heard: Clips with their sound.

    Returns:
        What the page shows, and MP3s, to which its clips refer by their number.
    """
    codebooks = subject.tokenizer.codebooks
    n_clusters, targets = codebooks.n_clusters, clips.targets
    found = counts.presence(clips.tokens, n_clusters)
    sizes = targets.sum(0)
    by_class, by_any = targets.astype(np.float32).T @ found.astype(np.float32), found.sum(0)
    z = counts.z_scores(by_class, by_any, sizes, len(found))
    n_seconds = float(np.minimum(clips.catalogue.seconds, subject.clip_seconds).mean())
    heard = choose(clips, found, min(n_heard, max(1, int(_MOST_SECONDS / n_seconds))))
    shown, sounds = _heard(subject, clips, heard)
    hertz = subject.shown.bin_hertz
    order = ranks(codebooks.centroids.cpu().numpy())
    return {
        "n_clips": len(found),
        "splits": {split: clips.splits.count(split) for split in dict.fromkeys(clips.splits)},
        "counts": _packed(clips.spectra.counts, np.uint32),
        "n_with": _packed(by_any, np.uint32),
        "n_recordings": _packed(counts.n_recordings(found, clips.recordings), np.uint32),
        "measured": _spectra(clips.spectra.mean()),
        "hertz": None if hertz is None else centres(hertz.tolist()),
        "speaks_for": _speaks_for(z, by_class),
        "run_lengths": counts.run_lengths(clips.tokens).tolist(),
        "transitions": counts.transitions(clips.tokens, order).tolist(),
        "classes": _classes(clips, classes, z, by_class, by_any, n_clusters),
        "has_scores": subject.run is not None,
        "clips": shown,
    }, sounds


def _heard(subject: Subject, clips: Clips, heard: list[int]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the clips that can be heard, and their sounds."""
    reader = WaveformReader(clips.catalogue, subject.clip_seconds, subject.tokenizer.features)
    rate = subject.tokenizer.features.sample_rate
    made: list[dict[str, Any]] = []
    sounds: list[str] = []
    for place in heard:
        clip = clips.catalogue[place]
        waveform, n_samples = reader.waveform(clip)
        sound, scores = waveform[:n_samples].numpy(), clips.scores[place]
        made.append(
            {
                "place": place,
                "id": clip.id,
                "split": clip.split,
                "seconds": round(n_samples / rate, 4),
                "labels": np.flatnonzero(clips.targets[place]).tolist(),
                "tags": [[int(i), round(float(scores[i]), 4)] for i in (-scores).argsort()[:_N_TAGS]],
                "tokens": _packed(clips.tokens[place], np.uint16),
                "n_tokens": len(clips.tokens[place]),
                "sound": len(sounds),
                **_pictured("spectrogram", spectrogram(subject.shown, waveform, n_samples)),
                "peaks": _packed(peaks(sound), np.uint8),
            }
        )
        sounds.append(as_mp3(sound, rate))
        decoded = decoded_sound(subject.tokenizer, clips.tokens[place], sound)
        if decoded is not None:
            shown = spectrogram(subject.shown, _as_long(decoded, waveform), n_samples)
            made[-1] |= {"decoded": len(sounds), **_pictured("decoded_spectrogram", shown)}
            sounds.append(as_mp3(decoded, rate))
    return made, sounds


def _as_long(sound: np.ndarray, waveform: torch.Tensor) -> torch.Tensor:
    """Return a sound padded with zeros to the length of a waveform."""
    return F.pad(torch.from_numpy(sound), (0, len(waveform) - len(sound)))


def _classes(
    clips: Clips,
    classes: Sequence[SoundClass],
    z: np.ndarray,
    by_class: np.ndarray,
    by_any: np.ndarray,
    n_clusters: int,
) -> list[dict[str, Any]]:
    """Return each class that occurs, with its telling tokens and pairs, and its best and worst clips."""
    sizes = clips.targets.sum(0)
    found, pairs_by_class, pairs_by_any = counts.pairs(clips.tokens, clips.targets, n_clusters)
    of_pairs = counts.z_scores(pairs_by_class, pairs_by_any, sizes, len(clips.tokens))
    made = []
    for number, sound_class in enumerate(classes):
        order = ranked(clips, number)
        best, worst = order[:_N_EXTREMES], order[_N_EXTREMES:][-_N_EXTREMES:][::-1]
        telling = [
            [*divmod(token, n_clusters), int(by_class[number, token]), int(by_any[token])]
            for token in _highest(z[number])
        ]
        pairs = [
            [*found[pair].tolist(), int(pairs_by_class[number, pair]), int(pairs_by_any[pair])]
            for pair in _highest(of_pairs[number])
        ]
        scored = [
            [
                [place, clips.catalogue[place].id, round(float(clips.scores[place, number]), 4)]
                for place in part
            ]
            for part in (best, worst)
        ]
        made.append(
            {
                "name": sound_class.name,
                "n": int(sizes[number]),
                "tokens": telling,
                "pairs": pairs,
                "best": scored[0],
                "worst": scored[1],
            }
        )
    return made


def _highest(z: np.ndarray) -> list[int]:
    """Return the places of the highest of some z-scores (things,), as far as they are significant."""
    order = (-z).argsort(kind="stable")[:_N_TELLING]
    return [int(place) for place in order if z[place] > counts.SIGNIFICANT]


def _speaks_for(z: np.ndarray, by_class: np.ndarray) -> str:
    """Pack the classes that each token speaks for most: int16 (Q K, 3), -1 for none."""
    n = min(_N_CLASSES, len(z))
    best = (-z).argsort(0, kind="stable")[:n].T
    enough = np.take_along_axis((z > counts.SIGNIFICANT) & (by_class >= 2), best.T, 0).T
    filled = np.full((z.shape[1], _N_CLASSES), -1)
    filled[:, :n] = np.where(enough, best, -1)
    return _packed(filled, np.int16)


def _neighbours(codebooks: Codebooks) -> np.ndarray:
    """Return the tokens that are nearest to each, the nearest first: (Q, K, neighbours)."""
    centroids = codebooks.centroids.cpu().double()
    n = min(_N_NEIGHBOURS, codebooks.n_clusters - 1)
    found = []
    for book in centroids:
        distances = (book[:, None] - book[None]).square().sum(-1).numpy()
        np.fill_diagonal(distances, np.inf)
        found.append(distances.argsort(1, kind="stable")[:, :n])
    return np.stack(found)


def _spectra(values: np.ndarray | None) -> dict[str, Any] | None:
    """Pack spectra (Q, K, bins) as bytes over their range; 0 is for a token that never occurs."""
    if values is None:
        return None
    reduced = np.stack([fewer_bins(book) for book in values])
    known = np.isfinite(reduced)
    low, high = (float(f(reduced[known])) if known.any() else 0.0 for f in (np.min, np.max))
    step = (high - low) / 254 or 1.0
    levels = np.where(known, 1 + np.round((np.nan_to_num(reduced) - low) / step), 0)
    return {"values": _packed(levels, np.uint8), "n_bins": reduced.shape[2], "low": low, "step": step}


def _pictured(name: str, slices: np.ndarray) -> dict[str, Any]:
    """Pack a spectrogram (slices, bins) as bytes, its loudest 90 dB or all of its range."""
    values = smaller(slices)
    high = float(values.max())
    low = max(float(values.min()), high - 90.0)
    levels = np.clip((values - low) / (high - low or 1.0), 0, 1)
    return {name: _packed(np.round(255 * levels), np.uint8), f"{name}_slices": len(values)}


def _packed(values: np.ndarray, kind: type) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode("ascii")
