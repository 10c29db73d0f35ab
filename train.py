"""`python train.py [overrides]`: train and score a tagger. See README.md, or `python train.py --help`."""

from audiotok.programs import train

if __name__ == "__main__":
    train()
