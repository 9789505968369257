"""What rating makes of a journal: by the reference and in columns, which must agree."""

from typing import Any

import pytest

from processors.rating import columnar
from tests.rating import cuts, journal, rated_by_columns, rated_by_reference, rated_in_one_go


def outcome(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rated rows of the journal: the reference's, and in columns the same, cut or not."""
    frame = journal(rows)
    expected, kept = rated_by_reference(frame)
    with pytest.MonkeyPatch.context() as patch:
        for few in (0, columnar.FEW):
            patch.setattr(columnar, "FEW", few)
            for parts in ([frame], cuts(frame, range(len(frame)))):
                found, stored = rated_by_columns(parts)
                assert expected.equals(found)
                assert kept == stored
                found, stored = rated_in_one_go(parts, 3)
                assert expected.equals(found)
                assert kept == stored
    return expected.to_dicts()
