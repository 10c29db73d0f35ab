"""A page in which tokens, clips and classes are seen and heard: `audiotok explore`.

program     the verb
subject     the run or the tokenizer that the page is about
clips       clips with their tokens, tags and sound
selection   which clips the page holds with their sound
counts      how often tokens occur, one after another, and in which classes
contents    what the page shows, as JSON
sound       sound for the browser
"""
