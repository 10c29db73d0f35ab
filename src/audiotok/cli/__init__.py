"""The command line: `audiotok COMMAND`.

application  the command `audiotok`, its version, and options that several verbs share
screen       how every verb prints: errors in one sentence, the log, text as it is
experiments  train, pretrain, prepare, doctor, fit, evaluate, explore, repeat: their overrides are Hydra's
trained      predict, tokens, export, demo, listen: what becomes of a finished run, or of a tokenizer
reports      compare, workspace: runs side by side
corpora      download
cache        cache list, verify, prune

A verb is a function in one of these modules; a new module joins the import below, whose order is that of
`--help`. Heavy imports stand inside the functions, so that `--help` is instant.
"""

import sys
from pathlib import Path

from audiotok.run.stopping import install_handlers

if Path(sys.argv[0]).stem == "audiotok":  # the command, and not a program that imports this module
    install_handlers()  # the imports below take a moment too

from audiotok.cli.application import app

# isort: off
from audiotok.cli import experiments, trained, reports, corpora, cache

# isort: on

__all__ = ["app", "cache", "corpora", "experiments", "reports", "trained"]
