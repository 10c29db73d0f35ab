"""Waveforms to frames: `features` is the interface; `logmel`, with its two parts, an option of the group."""
