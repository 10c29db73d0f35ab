"""Tags of your own sounds, from a finished run.

results   scores by windows, tags, detections, tokens, embeddings
sounds    files and arrays as waveforms of one rate, and the windows that they are cut into
program   the verb `audiotok predict`
tagger    a finished run, for use: `audiotok.load`
"""
