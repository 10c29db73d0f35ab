"""Training with Lightning, and the config groups loss, metrics, objective, optimizer and schedule.

Each group is a module with its interface and its options. `learner` is what training and pretraining share;
`tagger` and `pretrainer` are the two.
"""
