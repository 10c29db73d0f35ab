"""The checks of `audiotok doctor`: problems that would keep a run from learning, found before it starts.

finding         the result of a check, and how bad it is
extent          how much is examined
listing         clips, positives, duplicates, sample rates: from the manifest alone
subject         the run that is examined, and the excerpts of its clips that are read
frames          silence, and frames after normalisation
tokens          use of the centroids, and mutual information of tokens and labels
control         a linear classifier on token histograms
short_training  the initial loss, one batch, the learning rate
speed           waiting for data
examination     all checks, one after the other
report          the findings as a table on screen and in plain JSON
"""
