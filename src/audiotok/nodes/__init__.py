"""Nodes: dictionaries that name a class, in `_target_`, and the arguments that it is built with.

Configurations consist of them, and so do the files that a tokenizer is kept in.

described    objects that say what they were built with
declaration  the arguments that a class takes, read from its source
signature    the values of a node against the type hints of what it names
trust        what a stored node may build: no code of strangers
building     what a stored node names, checked and built
"""
