"""AudioSet: its tables from Google, its audio from huggingface.co/datasets/agkphysics/AudioSet.

Google publishes no checksums of the tables. The class table is one that many public projects pin by the same
SHA-256; the segments are held to what came at first.
"""

from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.download.release import Remote, Source

AUDIO_REPOSITORY = "agkphysics/AudioSet"  # data/<set>/NN.parquet: flac in a column, about 2,000 clips a file

TABLES = Source(
    title="AudioSet's tables (Google, CC BY 4.0)",
    base_url="https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv",
    files=(
        Remote(
            CLASS_TABLE, "sha256:cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429", 14_675
        ),
        *(Remote(name) for name in SEGMENTS.values()),
    ),
    files_folder="metadata",
    data="data=audioset",
)
