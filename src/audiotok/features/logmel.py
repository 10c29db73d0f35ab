"""Log-mel frames, stacked over a short time and projected onto their principal components."""

from audiotok.errors.ranges import Count, DecibelRange, Decibels, Hertz, Rate, Whole
from audiotok.features.mel import MelFeatures, Normalization
from audiotok.features.spectrogram import MelSpectrogram


class LogMel(MelFeatures):
    """A mel spectrogram in dB, and frames of neighbouring mel frames projected onto principal components.

    The spectrogram has a Hann window, centred frames, power, the HTK mel scale and triangular filters of
    height 1. `context` neighbouring mel frames are stacked into one vector every `stride` mel frames. With
    several contexts, the components of each are concatenated: one moment at several time scales.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the analysis window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Lower powers are set to this, dB.
        range_db: Range of a clip below its loudest bin, dB: lower levels are raised to it; None for no limit.
        normalization: "none" keeps dB; "clip_minmax" maps each clip's own range to 0 .. 1; "clip_max" makes
            each clip's loudest bin 0 dB; "corpus" gives every dimension of a stacked frame mean 0 and
            standard deviation 1 over the training sample.
        deltas: 1 appends the slope of every mel bin over five mel frames, 2 the slope of that slope too.
        context: Mel frames stacked into one vector; a list for several time scales.
        stride: Mel frames from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, one number for each context, D in total; None keeps the
            stacked frame as it is.
        bands: Groups of neighbouring mel bins, each with its own principal components, into which a context
            is divided: a sound in one band leaves the components of the others alone. One number for all
            contexts, or one for each.
        whiten: Scale every principal component to unit variance.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    def __init__(
        self,
        *,
        sample_rate: Rate = 22050,
        n_fft: Count = 1024,
        hop_length: Count = 512,
        n_mels: Count = 64,
        f_min: Hertz = 0.0,
        f_max: Hertz | None = None,
        floor_db: Decibels = -100.0,
        range_db: DecibelRange | None = None,
        normalization: Normalization = "none",
        deltas: Whole = 0,
        context: Count | list[Count] = 5,
        stride: Count = 4,
        n_components: Count | list[Count] | None = 64,
        bands: Count | list[Count] = 1,
        whiten: bool = False,
    ) -> None:
        spectrogram = MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            f_min=f_min,
            f_max=f_max,
            floor_db=floor_db,
        )
        super().__init__(
            spectrogram,
            range_db=range_db,
            normalization=normalization,
            deltas=deltas,
            context=context,
            stride=stride,
            n_components=n_components,
            bands=bands,
            whiten=whiten,
            n_stacked=n_mels,
            stacked_key="n_mels",
        )
