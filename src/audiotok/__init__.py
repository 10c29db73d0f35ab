"""audiotok: turn sound into words and find out what a language model can hear in them.

A **clip** on disk becomes a mono **waveform**, then mel **frames**, whose nearest **centroids** are its
**tokens**; tokens and labels are **batched**, a **model** reads them into logits, and **metrics** score
them while the **module** trains.

Reading order, which is import order (a stage imports only from stages above it)::

    errors      one clear sentence for the user
    padding     which positions of a batch count
    signature   configured values against the types of what they configure
    store       folders of computed things, keyed by content
    engine      a function over the parts of a corpus, here or on a cluster
    checkpoint  the weights of a finished run
    ranks       the processes of a run on several devices
    data        clips: where they are, which are usable, their waveforms
    features    waveforms to frames
    clustering  frames to tokens, by centroids
    tokenizer   waveforms to tokens: features and clustering in one module
    augment     what training changes in its clips
    loader      clips to batches, and what is kept of them
    sample      the frames that a tokenizer is fitted to
    vocabulary  the fitted tokenizer of a corpus: fitted once, kept by content
    model       tokens to logits
    loss, metrics                  logits to what is minimised, and to scores
    objective, optimizer, schedule what is learnt without labels, and how
    module, pretraining            training, with labels and without
    gallery     test clips to look at and listen to
    callbacks, logger              watching
    results, provenance            what a run leaves behind, and what it came from
    preparing   which clips of a corpus are there: its manifest, and a report
    doctor      what keeps a run from learning, found before it is made
    experiment  the only package that sees a configuration: builds, trains, scores
    train       the Hydra program around it
    rank        the same in a process that follows another one
    jobs        those of a multirun: ranked, averaged
    sweep       what is done before and after the jobs of a multirun
    download    corpora from the network
    prediction  tags of one's own sounds, by a finished run
    workspace   a dashboard of runs in W&B
    compare     runs beside each other, in a page
    cli         the command line

One alphabet of shapes, used in every docstring:

``B`` clips in a batch, ``S`` samples, ``T`` frames (tokens in time), ``M`` mel bins, ``D`` dimensions
that are clustered, ``Q`` codebooks, ``K`` centroids per codebook, ``C`` classes.
"""

__version__ = "0.1.0"
