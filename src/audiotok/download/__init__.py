"""Downloads of public corpora: complete and verified against checksums, or absent.

`release` has the nouns, `fetch` downloads one file and resumes after interruptions, `hub` downloads from the
Hugging Face Hub, `archive` unpacks, `record` remembers what was downloaded, and `download` combines these.
`audioset`, `esc50` and `fsd50k` describe one corpus each.
"""
