"""Mel-frequency cepstral coefficients, stacked over a short time."""

from torch import Tensor
from torchaudio.functional import create_dct

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, DecibelRange, Decibels, Hertz, Rate, Whole
from audiotok.features.mel import MelFeatures, Normalization
from audiotok.features.spectrogram import MelSpectrogram


class MFCC(MelFeatures):
    """The first coefficients of an orthonormal cosine transform (DCT-II) of every mel frame in dB.

    They are those of `torchaudio.transforms.MFCC` with `log_mels=False`, and of `librosa.feature.mfcc` with
    `htk=True, norm=None` for its mel filters; both limit the range to 80 dB. The analysis is that of `LogMel`
    with the same numbers: they share cached mel frames, data augmentation and the doctor's checks.

    Args:
        sample_rate: Rate at which waveforms come, Hz.
        n_fft: Length of the analysis window, samples.
        hop_length: From one mel frame to the next, samples.
        n_mels: Mel bins, M.
        n_coefficients: Coefficients kept, the first of which is the level; at most M.
        f_min: Lower edge of the lowest bin, Hz.
        f_max: Upper edge of the highest bin, Hz; None for half the sample rate.
        floor_db: Lower powers are set to this, dB.
        range_db: Range of a clip below its loudest bin, dB: lower levels are raised to it; None for no limit.
        normalization: As of `LogMel`; "corpus" standardises the coefficients, the others change mel frames.
        deltas: 1 appends the slope of every coefficient over five mel frames, 2 the slope of that slope too.
        context: Mel frames whose coefficients are stacked into one vector; a list for several time scales.
        stride: Mel frames from one vector to the next: the time resolution of tokens.
        n_components: Principal components kept, one number for each context; None keeps the coefficients.
        whiten: Scale every principal component to unit variance.

    Raises:
        UserError: The numbers contradict each other, or a mel filter covers no frequency bin.
    """

    dct: Tensor  # (M, n_coefficients)

    def __init__(
        self,
        *,
        sample_rate: Rate = 22050,
        n_fft: Count = 1024,
        hop_length: Count = 512,
        n_mels: Count = 64,
        n_coefficients: Count = 24,
        f_min: Hertz = 0.0,
        f_max: Hertz | None = None,
        floor_db: Decibels = -100.0,
        range_db: DecibelRange | None = 80,
        normalization: Normalization = "none",
        deltas: Whole = 0,
        context: Count | list[Count] = 5,
        stride: Count = 4,
        n_components: Count | list[Count] | None = None,
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
        if not 1 <= n_coefficients <= n_mels:
            raise UserError(
                f"features.n_coefficients={n_coefficients} is not between 1 and features.n_mels={n_mels}; "
                "lower it, or raise n_mels."
            )
        super().__init__(
            spectrogram,
            range_db=range_db,
            normalization=normalization,
            deltas=deltas,
            context=context,
            stride=stride,
            n_components=n_components,
            whiten=whiten,
            n_stacked=n_coefficients,
            stacked_key="n_coefficients",
            own_settings={"kind": "mfcc", "n_coefficients": n_coefficients},
        )
        self.register_buffer("dct", create_dct(n_coefficients, n_mels, "ortho"), persistent=False)

    def vectors(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Return the coefficients (B, mel frames, n_coefficients) of mel frames (B, mel frames, M) in dB."""
        return self.normalize(analysis, n_slices) @ self.dct

    def slices(self, frames: Tensor, n_frames: Tensor, noise: float) -> Tensor:
        """Return the normalised mel frames that frames tell; coefficients that are left out are 0."""
        return self.unstack(frames, n_frames, noise, smooth=False) @ self.dct.mT
