"""Your own sounds, tagged by a finished run.

results   scores by windows, tags, detections, tokens, embeddings
tagger    a finished run, for use: `audiotok.load`
formats   detections as CSV, JSON lines, Parquet, Audacity's labels and Raven's selections
record    the results of what is done: a command that was stopped goes on
inputs    the files in folders
output    where detections are written
screen    what is printed
picture   what is drawn
bar       files one after the other, with a progress bar
program   the verb `audiotok predict`
"""
