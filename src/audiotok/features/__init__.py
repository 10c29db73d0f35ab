"""Waveforms to frames: every file is an option of the config group `features`, or a part of one."""
