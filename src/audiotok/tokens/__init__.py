"""Waveforms to tokens: the tokenizer, the sample that it is fitted to, and fitted vocabularies on disk."""
