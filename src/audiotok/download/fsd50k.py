"""FSD50K: 51,197 clips of 0.3 to 30 s in 200 classes, from Zenodo, record 4060432, version 1.0.

Sizes and MD5 sums are published by Zenodo with the files.
"""

from audiotok.download.release import Archive, Release, Remote

_DEV = (
    Remote("FSD50K.dev_audio.z01", "md5:faa7cf4cc076fc34a44a479a5ed862a3", 3_221_225_472),
    Remote("FSD50K.dev_audio.z02", "md5:8f9b66153e68571164fb1315d00bc7bc", 3_221_225_472),
    Remote("FSD50K.dev_audio.z03", "md5:1196ef47d267a993d30fa98af54b7159", 3_221_225_472),
    Remote("FSD50K.dev_audio.z04", "md5:d088ac4e11ba53daf9f7574c11cccac9", 3_221_225_472),
    Remote("FSD50K.dev_audio.z05", "md5:81356521aa159accd3c35de22da28c7f", 3_221_225_472),
    Remote("FSD50K.dev_audio.zip", "md5:c480d119b8f7a7e32fdb58f3ea4d6c5a", 2_306_663_327),
)
_EVAL = (
    Remote("FSD50K.eval_audio.z01", "md5:3090670eaeecc013ca1ff84fe4442aeb", 3_221_225_472),
    Remote("FSD50K.eval_audio.zip", "md5:6fa47636c3a3ad5c7dfeba99f2637982", 3_037_675_767),
)
_GROUND_TRUTH = Remote("FSD50K.ground_truth.zip", "md5:ca27382c195e37d2269c4c866dd73485", 334_701)
_METADATA = Remote("FSD50K.metadata.zip", "md5:b9ea0c829a411c1d42adb9da539ed237", 6_700_838)

FSD50K = Release(
    title="FSD50K (E. Fonseca et al., CC BY 4.0; each clip has its own licence)",
    base_url="https://zenodo.org/records/4060432/files",
    archives=(  # small ones first, so that problems with the disk or the network show at once
        Archive((_GROUND_TRUTH,), "FSD50K.ground_truth", 5_000_000),
        Archive((_METADATA,), "FSD50K.metadata", 50_000_000),
        Archive(_EVAL, "FSD50K.eval_audio", 9_000_000_000),
        Archive(_DEV, "FSD50K.dev_audio", 26_000_000_000),
    ),
    data="data=fsd50k",
)
