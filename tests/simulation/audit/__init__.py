"""An auditor written from credits.md alone: it reads the logs, and knows nothing of the stages.

It imports no code of `processors` or `projections`: what it expects it works out by itself, with
fractions and dictionaries, from the raw records. Frames it decodes by `schemas.frames`.
"""
