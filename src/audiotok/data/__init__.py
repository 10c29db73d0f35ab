"""Clips: where they are, what is in them, which are usable, and their waveforms.

`clip` has the nouns, `audio` reads files, `inspection` finds out which files are usable, `validation`
sets training clips aside, `corpus` ties these together; every other file is one option of the config
group `data`.
"""
