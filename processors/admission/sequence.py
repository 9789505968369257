"""Journal frames out of examined stretches: accepted records as rows, refused ones by offset. Pure.

Each frame carries the source vector before and after it; a frame's `after` is its predecessor's
`upto`, and a stretch with nothing accepted is written too, so a reader can tell a refusal from a
gap (architecture.md section 3, rule 2).
"""

from processors.admission.batch import Stretch, placed
from schemas.frames import JOURNAL_SCHEMA, FrameKind, JournalHeader, encode
from schemas.tables import stacked


def frame(stretch: Stretch) -> bytes:
    """The frame of a stretch whose claims are settled."""
    rows = stretch.usage
    if stretch.others:
        rows = stacked([rows, placed(stretch.others)]).sort("at")
    refused = [
        (int(source), record.offset, str(why.reason))
        for _, source, record, why in sorted(stretch.refused, key=lambda each: each.at)
    ]
    header = JournalHeader(stretch.after, stretch.upto, refused)
    return encode(FrameKind.JOURNAL, header, rows.select_seq(JOURNAL_SCHEMA.names()))
