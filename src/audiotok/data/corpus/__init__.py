"""A corpus: its listing, the conditions of its clips, and the clips that can be used."""
