"""Sounds as files of tokens, for language models and others: the verb `audiotok tokens`.

arrangement  offsets, patterns and units: how the tokens of a sound are written
formats      npz, JSON lines, Parquet, a webdataset, and HuBERT's lines of units
request      what the names of files tell, before torch is imported
files        the tokens of files; a command that was stopped goes on
corpus       the tokens of a corpus, from the cache
"""
