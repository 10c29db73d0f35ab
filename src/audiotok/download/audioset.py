"""AudioSet: the tables from Google, the audio from huggingface.co/datasets/agkphysics/AudioSet.

Google publishes no checksums for the tables. Many public projects pin the class table by the same SHA-256;
the segments are checked against their first download.
"""

from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS
from audiotok.download.release import Release, Remote

AUDIO_REPOSITORY = "agkphysics/AudioSet"  # data/<set>/NN.parquet, about 2,000 flac files each

TABLES = Release(
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
