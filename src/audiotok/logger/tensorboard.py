"""TensorBoard's event files in the folder `tensorboard` of the run's folder."""

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger

from audiotok.errors import UserError
from audiotok.logger.logger import LightningLogger
from audiotok.run.destination import Destination


class TensorBoard(LightningLogger):
    """Lightning's TensorBoard logger.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, *, destination: Destination) -> None:
        try:
            lightning = TensorBoardLogger(save_dir=destination.folder.path, name="tensorboard", version="")
        except ModuleNotFoundError as error:
            raise UserError(
                "logger=tensorboard needs TensorBoard, which is not installed; "
                "pip install 'audiotok[tensorboard]', or choose logger=csv."
            ) from error
        super().__init__(lightning)
        self._writer = lightning.experiment

    def show_picture(self, name: str, picture: Image.Image) -> None:
        """Show a picture."""
        self._writer.add_image(name, np.asarray(picture), dataformats="HWC")
