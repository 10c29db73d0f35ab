"""Machinery that maps a function over the parts of a corpus: on this machine, or on a cluster.

`engine` says what all of it promises; every other file is one option of the config group `engine`. What an
engine maps is handed to it: a function and parts that pickle, and neither knows of the store or the engine.
"""
