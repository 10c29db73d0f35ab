"""Corpora from the network: whole, checked against a checksum, or not there at all.

`source` has the nouns, `fetch` brings one file and goes on where a cut connection left it, `archive`
unpacks, `record` remembers what came, `corpus` ties these together; every other file is one corpus.
"""
