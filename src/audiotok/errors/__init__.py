"""What a user can fix: errors in one sentence, ranges of configured numbers, and what fits into memory."""


class UserError(ValueError):
    """Bad input or configuration; its message is shown alone, without a traceback."""

    def __init__(self, message: str) -> None:
        # torch re-raises a worker's error with the worker's traceback before the message, which is dropped
        super().__init__(message.rstrip().rpartition(f"{type(self).__name__}: ")[2])


class UnreachableError(UserError):
    """A server does not answer, or refuses; a retry may succeed."""
