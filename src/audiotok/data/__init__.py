"""Clips: where they are, what is in them, which of them are usable, and their waveforms.

`clip` has the nouns and `source` the interface of the config group `data`, whose options are the modules
`audioset`, `csv`, `esc50`, `folder`, `fsd50k` and `synthetic`. `validation` and `limits` are settings that
all options share, and `splits` chooses the splits of clips that have none. `recognition` finds out which
option reads a folder or a file. `layout` finds clips in folders and containers, `audio` reads their waveforms
by the decoders in `reading`, `recording` those of sounds outside a corpus, `inspection` says what is wrong
with one clip, `corpus` inspects all of them and opens the usable ones, and `synthesis` makes the sounds of
the embedded dataset.
"""
