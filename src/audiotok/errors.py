"""The error that a user can mend: one sentence with the key or file, its value, and what to do."""


class UserError(ValueError):
    """Bad input or configuration; its message is shown alone, without a traceback."""
