"""Your own sounds, tagged by a finished run.

results   scores by windows, tags, detections, tokens, embeddings
tagger    a finished run, for use: `audiotok.load`
formats   detections as CSV, JSON lines, Parquet, Audacity's labels and Raven's selections
record    which sounds are done: a command that was stopped goes on
inputs    the files in folders
output    where detections are written
screen    what is printed
picture   what is drawn
bar       the progress bar
program   the verb `audiotok predict`
"""
