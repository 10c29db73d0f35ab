"""Importing this lets transformers load exported models without `trust_remote_code`.

import audiotok.export.auto
tagger = transformers.pipeline("audio-classification", model=FOLDER)
"""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification

from audiotok.export.modeling_audiotok import (
    AudiotokConfig,
    AudiotokFeatureExtractor,
    AudiotokForAudioClassification,
)

AutoConfig.register(AudiotokConfig.model_type, AudiotokConfig, exist_ok=True)
AutoFeatureExtractor.register(AudiotokConfig, AudiotokFeatureExtractor, exist_ok=True)
AutoModelForAudioClassification.register(AudiotokConfig, AudiotokForAudioClassification, exist_ok=True)
