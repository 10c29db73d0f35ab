"""TensorBoard's event files in the run's folder."""

from pytorch_lightning.loggers import TensorBoardLogger

from audiotok.errors import UserError
from audiotok.run.destination import Destination


def build(*, destination: Destination) -> TensorBoardLogger:
    """Build Lightning's TensorBoard logger.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        return TensorBoardLogger(save_dir=destination.folder.path, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise UserError(
            "logger=tensorboard needs TensorBoard, which is not installed; "
            "pip install 'audiotok[tensorboard]', or choose logger=csv."
        ) from error
