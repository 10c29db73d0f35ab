"""ESC-50: 2,000 clips of 5 s in 50 classes, from its author's repository, pinned to one commit.

Several public projects independently pin the same size and SHA-256 of the commit's archive. GitHub makes
archives on demand: downloads cannot be resumed, and the bytes are not guaranteed to stay the same.
"""

from audiotok.download.release import Archive, Release, Remote

_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"

ESC50 = Release(
    title="ESC-50 (K. J. Piczak, CC BY-NC 3.0)",
    base_url="https://github.com/karolpiczak/ESC-50/archive",
    archives=(
        Archive(
            (
                Remote(
                    f"{_COMMIT}.zip",
                    "sha256:661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
                    645_832_161,
                ),
            ),
            folder="ESC-50",
            unpacked_size=890_000_000,
        ),
    ),
    root="ESC-50",
    data="data=esc50",
)
