"""ESC-50: 2,000 clips of 5 s in 50 classes, from its author's repository, pinned to one commit.

The size and the SHA-256 of the commit's archive are those that several public projects pin independently
of each other. GitHub makes archives on demand: it does not resume them, and does not promise their bytes.
"""

from audiotok.download.release import Archive, Remote, Source

_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"

ESC50 = Source(
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
