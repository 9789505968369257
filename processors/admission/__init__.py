"""Admission: raw records in; validated, deduplicated and sequenced journal frames out."""
