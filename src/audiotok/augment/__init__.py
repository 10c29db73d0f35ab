"""Data augmentation of training clips: of the analysis, of tokens, and of a model's vectors."""
