"""Waveforms to frames: `features` is the interface, `logmel` an option of the group `features`."""
