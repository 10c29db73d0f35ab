"""The interface of a data source: the settings that all sources share, and the listing of its clips."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from audiotok.data.clip import Listing
from audiotok.data.limits import Limits
from audiotok.data.reading.files import is_url
from audiotok.data.validation import Validation
from audiotok.errors import UserError
from audiotok.errors.ranges import Seconds

Cache = Literal["tokens", "frames", "none"]
Check = Literal["decode", "header"]
Scan = Literal["always", "once"]


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A data source. Its fields are its settings, and the manifest of its clips is named after their values.

    A new one is a frozen dataclass that inherits from this, adds settings of its own (`root` for a path,
    which is made absolute) and implements three methods; see `audiotok.data.esc50` for a short example.

    Args:
        clip_seconds: Clips are padded or cropped to this length, s.
        validation: Which training clips are set aside for validation.
        limits: Which clips are skipped.
        segment_seconds: Files longer than this are cut into segments of this length, s, of which a last one
            that is shorter counts if `limits` allow; None leaves files whole.
        check: "decode" decodes every clip once; "header" reads only its header.
        scan: "always" checks at every start which files have been added, removed or changed; "once" trusts
            the manifest.
        cache: What is cached of decoded clips: "tokens", "frames" (mel frames), or "none".
    """

    clip_seconds: Seconds = 10.0
    validation: Validation = field(default_factory=Validation)
    limits: Limits = field(default_factory=Limits)
    segment_seconds: Seconds | None = None
    check: Check = "decode"
    scan: Scan = "always"
    cache: Cache = "tokens"

    def __post_init__(self) -> None:
        length, limits = self.segment_seconds, self.limits
        if length is not None and not (length > 0 and limits.min_seconds <= length <= limits.max_seconds):
            raise UserError(
                f"data.segment_seconds={length} is not a length between data.limits.min_seconds="
                f"{limits.min_seconds} and data.limits.max_seconds={limits.max_seconds}; choose one that is, "
                "or other limits."
            )

    @abstractmethod
    def fingerprint_of_tables(self) -> str:
        """Return a name for the bytes of the files that list the clips.

        Raises:
            UserError: They are missing.
        """

    @abstractmethod
    def fingerprint_of_audio(self) -> str:
        """Return a name for the audio files or containers, made of their current sizes and times."""

    @abstractmethod
    def read(self) -> Listing:
        """List the clips and where they are.

        Raises:
            UserError: The metadata is missing or broken.
        """

    def check_tables(self) -> None:  # noqa: B027  # not all sources have something to check
        """Check quickly that the files that list the clips are present; called before torch is imported.

        Raises:
            UserError: A file or a column is missing.
        """

    def anchored(self) -> Self:
        """Return an equal source whose `root`, if it has one, does not depend on the working directory."""
        root = getattr(self, "root", None)
        if not root or is_url(root):
            return self
        return replace(self, root=str(Path(root).expanduser().absolute()))  # type: ignore[call-arg]
