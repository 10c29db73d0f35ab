"""Audio files to waveforms, from disks and URLs."""
