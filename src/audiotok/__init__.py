"""audiotok: turn sound into words and find out what a language model can hear in them.

A **clip** on disk becomes a mono **waveform**, then mel **frames**, whose nearest **centroids** are its
**tokens**; tokens and labels are **batched**, a **model** reads them into logits, and **metrics** score
them while the **module** trains.

Reading order, which is import order (a file imports only from those above it)::

    errors      errors that a user can fix, each in one sentence
    padding     which positions of a batch are padding
    disk        files written whole, and read within limits
    nodes       dictionaries that name a class and its arguments: described, checked, built
    page        HTML pages that need no network: what they share
    engine      map a function over the parts of a corpus, on this machine or on a cluster
    kinds       the kinds of cache entries, with their sidecars and versions
    pretrained  audio models of transformers, from a folder or the Hub
    store       the cache: folders of computed results, keyed by their content
    data        clips: sources, layouts on disk, manifests, decoding
    clustering  frames to tokens, by codebooks of centroids
    features    waveforms to frames
    augment     data augmentation
    tokens      waveforms to tokens: the tokenizer, and the vocabulary of a corpus
    loader      clips to batches, and the cache of frames and tokens
    model       tokens to logits
    training    losses, metrics, optimizers, schedules, and training by Lightning
    run         the folder of a run: what it holds, and reading it again
    logger      where scores are logged: W&B, TensorBoard, CSV
    callbacks   what watches training: checkpoints, averaging, progress
    doctor      what keeps a run from learning, found before it starts
    experiment  builds, trains and scores; the only package that sees a configuration
    prediction  your own sounds, tagged by a finished run
    demo        a finished run on a page in the browser
    evaluation  a finished run, scored on any data
    explore     tokens, clips and classes of a run, seen and heard in one page
    export      a finished run for transformers, or as an ONNX model
    tokenization  sounds as files of tokens
    compare     runs compared in one page
    download    corpora from the network
    follower    a further process of a run on several devices
    inventory   what the cache holds
    programs    train, pretrain, prepare, doctor, fit, evaluate and explore, as Hydra programs
    sweep       checks before a sweep, tables after it
    cli         the command `audiotok`

One alphabet of shapes, used in every docstring:

``B`` clips in a batch, ``S`` samples, ``T`` frames (tokens in time), ``M`` mel bins, ``D`` dimensions
that are clustered, ``Q`` codebooks, ``K`` centroids per codebook, ``C`` classes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiotok.clustering.product import Product as Product
    from audiotok.features.logmel import LogMel as LogMel
    from audiotok.model.bert import Bert as Bert
    from audiotok.model.model import Sizes as Sizes
    from audiotok.prediction.tagger import load as load
    from audiotok.tokens.audio_files import labelled_files as labelled_files
    from audiotok.tokens.tokenizer import Tokenizer as Tokenizer

__version__ = "0.1.0"
_NAMES = {  # what `from audiotok import NAME` finds, and its module; torch is imported with it and not before
    "Bert": "audiotok.model.bert",
    "LogMel": "audiotok.features.logmel",
    "Product": "audiotok.clustering.product",
    "Sizes": "audiotok.model.model",
    "Tokenizer": "audiotok.tokens.tokenizer",
    "load": "audiotok.prediction.tagger",
    "labelled_files": "audiotok.tokens.audio_files",
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
