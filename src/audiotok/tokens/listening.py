"""`audiotok listen`: a sound, what its mel frames keep of it, and what its tokens keep."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.data.recording import Recording, Sound
from audiotok.disk.writing import complaint, replacing, write_json
from audiotok.errors import UserError
from audiotok.tokens.measures import spectral_distance
from audiotok.tokens.tokenizer import Tokenizer, clips_of

_REPORT = "listen.json"


@dataclass(frozen=True)
class Heard:
    """A sound as it was, and as it comes back.

    Args:
        sample_rate: Of all versions, Hz.
        versions: Waveforms (S,) by name: "original", "mel" where the analysis can be heard by itself,
            "tokens", and "tokens_first_1" and so on where the first codebooks can be heard by themselves.
            The level of each clip is that of the original.
        distance_db: Spectral distance of decoded mel frames by the number of codebooks, dB; empty where the
            analysis is not in dB.
    """

    sample_rate: int
    versions: dict[str, np.ndarray]
    distance_db: dict[int, float]


def listen(tokenizer: Tokenizer, sound: Sound, sample_rate: float | None = None) -> Heard:
    """Tokenise a sound and bring it back, clip by clip.

    Args:
        tokenizer: Fitted.
        sound: As `Tokenizer.encode` takes it.
        sample_rate: Of an array, Hz.

    Raises:
        UserError: It cannot be read, or the tokens cannot be turned back into sound.
    """
    features, codebooks = tokenizer.features, tokenizer.codebooks
    length = round((tokenizer.clip_seconds or 0) * features.sample_rate)
    counts = _numbers(codebooks.n_codebooks) if codebooks.are_ordered else [codebooks.n_codebooks]
    parts: dict[str, list[Tensor]] = {}
    decoded: dict[int, list[Tensor]] = {n: [] for n in counts}
    truth, lengths = [], []
    blocks = Recording.of(sound, sample_rate).blocks(features.sample_rate)
    for clip in clips_of(blocks, length):
        n_samples = torch.tensor([len(clip)], device=codebooks.centroids.device)
        waveform = torch.from_numpy(clip).to(n_samples.device)
        analysis, n_slices = features.analyze(F.pad(waveform, (0, length - len(clip)))[None], n_samples)
        tokens, n_frames = tokenizer.tokens(analysis, n_slices)
        made = {"original": waveform}
        if features.floor_db is not None:
            made["mel"] = features.synthesize(analysis, n_slices)[0]
            truth.append(analysis)
            lengths.append(n_slices)
            for n in counts:
                back = tokenizer.reconstruct(tokens, n_frames, n)
                decoded[n].append(back[:, : analysis.shape[1]])
                made[_name(n, codebooks.n_codebooks)] = features.synthesize(decoded[n][-1], n_slices)[0]
        else:
            made["tokens"] = tokenizer.resynthesize(tokens, n_frames)[0]
        for name, one in made.items():
            parts.setdefault(name, []).append(_as_loud(one, waveform))
    distances = {
        n: spectral_distance(torch.cat(truth), torch.cat(found), torch.cat(lengths))
        for n, found in decoded.items()
        if found
    }
    versions = {name: torch.cat(some).cpu().numpy() for name, some in parts.items()}
    return Heard(features.sample_rate, versions, distances)


def write_heard(heard: Heard, folder: Path) -> list[Path]:
    """Write every version as a WAV file, and the distances to `listen.json`; return the files.

    Raises:
        UserError: The folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, waveform in heard.versions.items():
            content = io.BytesIO()
            soundfile.write(content, waveform.clip(-1, 1), heard.sample_rate, format="WAV", subtype="PCM_16")
            with replacing(folder / f"{name}.wav") as path:
                path.write_bytes(content.getvalue())
            written.append(folder / f"{name}.wav")
        distances = {str(n): round(value, 3) for n, value in heard.distance_db.items()}
        write_json(folder / _REPORT, {"spectral_distance_db_by_codebooks": distances})
    except OSError as error:
        raise UserError(complaint(error, {"--to": folder}) or f"--to={folder}: {error}.") from error
    return written


def _numbers(n_codebooks: int) -> list[int]:
    """Return 1, 2, 4 and so on, and the number of all codebooks."""
    return [*(2**k for k in range(n_codebooks.bit_length()) if 2**k < n_codebooks), n_codebooks]


def _name(n: int, n_codebooks: int) -> str:
    return "tokens" if n == n_codebooks else f"tokens_first_{n}"


def _as_loud(waveform: Tensor, original: Tensor) -> Tensor:
    """Return a waveform of the length and the level of another."""
    waveform = F.pad(waveform, (0, max(0, len(original) - len(waveform))))[: len(original)]
    return waveform * (original.square().mean() / waveform.square().mean().clamp(min=1e-20)).sqrt()
