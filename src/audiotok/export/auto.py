"""Importing this lets transformers load exported models without `trust_remote_code`.

import audiotok.export.auto
tagger = transformers.pipeline("audio-classification", model=FOLDER)
"""

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    AutoModelForAudioTokenization,
)

from audiotok.export.modeling_audiotok import (
    AudiotokConfig,
    AudiotokFeatureExtractor,
    AudiotokForAudioClassification,
)
from audiotok.export.modeling_audiotok_tokenizer import AudiotokTokenizer, AudiotokTokenizerConfig

AutoConfig.register(AudiotokConfig.model_type, AudiotokConfig, exist_ok=True)
AutoFeatureExtractor.register(AudiotokConfig, AudiotokFeatureExtractor, exist_ok=True)
AutoModelForAudioClassification.register(AudiotokConfig, AudiotokForAudioClassification, exist_ok=True)
AutoConfig.register(AudiotokTokenizerConfig.model_type, AudiotokTokenizerConfig, exist_ok=True)
AutoFeatureExtractor.register(AudiotokTokenizerConfig, AudiotokFeatureExtractor, exist_ok=True)
AutoModelForAudioTokenization.register(AudiotokTokenizerConfig, AudiotokTokenizer, exist_ok=True)
