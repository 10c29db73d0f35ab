"""TensorBoard's event files in the folder `tensorboard` of the run's folder."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger

from audiotok.errors import UserError
from audiotok.errors.ranges import Whole
from audiotok.logger.logger import LightningLogger
from audiotok.run.destination import Destination
from audiotok.run.gallery import Example
from audiotok.run.picture import tokens_picture
from audiotok.tokens.quantizer import Quantizer


class TensorBoard(LightningLogger):
    """Lightning's TensorBoard logger, with pictures and sound.

    Args:
        n_examples: Test clips to show, which the run's folder keeps too.
        destination: Where the run writes.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, *, n_examples: Whole = 8, destination: Destination) -> None:
        try:
            lightning = TensorBoardLogger(save_dir=destination.folder.path, name="tensorboard", version="")
        except ModuleNotFoundError as error:
            raise UserError(
                "logger=tensorboard needs TensorBoard, which is not installed; "
                "pip install 'audiotok[tensorboard]', or choose logger=csv."
            ) from error
        super().__init__(lightning)
        self._writer = lightning.experiment
        self.n_examples = n_examples

    def show_picture(self, name: str, picture: Image.Image) -> None:
        """Show a picture."""
        self._writer.add_image(name, np.asarray(picture), dataformats="HWC")

    def show_vocabulary(self, tokenizer: Quantizer) -> None:
        """Show the tokens of each codebook side by side, as spectra."""
        self.show_picture("vocabulary/centroids", tokens_picture(tokenizer))

    def show_examples(self, examples: Sequence[Example]) -> None:
        """Show sound and picture of test clips, and what they are taken for."""
        for number, example in enumerate(examples, 1):
            name = f"test/examples/{number}"
            self._writer.add_image(name, np.asarray(example.picture), dataformats="HWC")
            self._writer.add_audio(name, example.waveform[None], sample_rate=example.rate)
            if example.decoded is not None:
                self._writer.add_audio(f"{name}/decoded", example.decoded[None], sample_rate=example.rate)
            predicted = ", ".join(f"{tag} {probability:.2f}" for tag, probability in example.predicted)
            self._writer.add_text(name, f"{example.id}: {', '.join(example.labels)}; predicted {predicted}")
