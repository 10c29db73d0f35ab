"""A finished run outside of audiotok: as a Hugging Face folder, as an ONNX model, and on the Hub.

program             the verb `audiotok export`
request             the checks before torch is imported
parts               the classes that a model is made of, by their names
waveforms           what both models of transformers share: the feature extractor, and tokens
modeling_audiotok   a tagger for transformers; a Hugging Face folder holds this file, too
modeling_audiotok_tokenizer  a tokenizer for transformers, likewise
auto                lets transformers find them where audiotok is installed
bundle              the code that a Hugging Face folder holds
huggingface         the Hugging Face folder of a run
tokenizer           the Hugging Face folder of a tokenizer
graph               a tagger whose every step ONNX knows
onnx_model          the ONNX model
card                README.md: scores, data, command, how to use it
upload              to the Hub
"""
