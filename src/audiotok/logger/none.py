"""No scores but those in the run's folder."""

from audiotok.errors.ranges import Whole
from audiotok.logger.logger import RunLogger
from audiotok.run.destination import Destination


class Silent(RunLogger):
    """A logger that shows nothing.

    Args:
        n_examples: Test clips that the run's folder keeps with sound, picture and tokens.
        destination: Where the run writes.
    """

    def __init__(self, *, n_examples: Whole = 0, destination: Destination) -> None:
        self.n_examples = n_examples
