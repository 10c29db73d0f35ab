"""A finished run on any data: `audiotok evaluate`.

matching   the classes of the data among those of the run
tagging    clips, tagged and scored as a run's test clips are
detection  F1 of segments and of events
events     tables of events
timeline   what a run hears from when to when, against events
program    the verb
"""
