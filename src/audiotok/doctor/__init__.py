"""What `audiotok doctor` looks at before a run is made: a check for each thing that keeps it from learning.

finding      what a check says, and how bad it is
extent       how much is looked at
listing      clips, positives, clips in two splits, sample rates: from the manifest alone
subject      a run that is about to begin, and the clips of it that are listened to
frames       sound, and what normalisation leaves of it
tokens       how the centroids are used, and what they tell of the labels
control      what a linear classifier hears in the tokens
short_training  loss at the start, one batch, the learning rate
speed        waiting for data
examination  all checks, one after the other
report       the findings as a table on screen and in plain JSON
"""
