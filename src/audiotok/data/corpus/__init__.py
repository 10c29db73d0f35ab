"""A corpus: what is listed, what lies on the disk, and which clips can be used."""
