"""Tiny models of transformers with random weights, written to disk as if they had been downloaded."""

from pathlib import Path
from typing import Any

import torch

_LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_CONVOLUTIONS: dict[str, Any] = {
    **_LAYERS,
    "conv_dim": (8, 8),
    "conv_stride": (20, 8),
    "conv_kernel": (40, 10),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
ENCODERS = ("hubert", "wavlm", "wav2vec2", "data2vec-audio", "audio-spectrogram-transformer", "whisper")


def write_encoder(kind: str, folder: Path, *, seed: int = 0) -> Path:
    """Write an audio encoder: 8 kHz and a hidden state every 20 ms, or 16 kHz for Whisper and AST."""
    import transformers as t

    torch.manual_seed(seed)
    if kind == "whisper":
        config = t.WhisperConfig(
            d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1,
            decoder_attention_heads=2, decoder_ffn_dim=32, num_mel_bins=16, max_source_positions=50,
            vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        extractor = t.WhisperFeatureExtractor(feature_size=16, chunk_length=1)
    elif kind == "audio-spectrogram-transformer":
        config = t.ASTConfig(**_LAYERS, num_mel_bins=32, max_length=64)
        extractor = t.ASTFeatureExtractor(num_mel_bins=32, max_length=64)
    else:
        kinds = {
            "hubert": t.HubertConfig,
            "wavlm": t.WavLMConfig,
            "wav2vec2": t.Wav2Vec2Config,
            "data2vec-audio": t.Data2VecAudioConfig,
        }
        norm = {"feat_extract_norm": "layer", "do_stable_layer_norm": True} if kind == "wav2vec2" else {}
        config = kinds[kind](**_CONVOLUTIONS, **norm)
        extractor = t.Wav2Vec2FeatureExtractor(sampling_rate=8000, do_normalize=kind != "hubert")
    _write(t.AutoModel.from_config(config), extractor, folder)
    return folder


def _write(model: Any, extractor: Any, folder: Path) -> None:
    for weight in model.parameters():  # initial ones are so small that layers do next to nothing
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
