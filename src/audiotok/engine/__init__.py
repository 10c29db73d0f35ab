"""Engines map a function over the parts of a corpus, on this machine or on a cluster.

`engine` has the interface; every other module is an option of the config group `engine`. The function and
the parts must pickle, and know neither the engine nor the store.
"""
