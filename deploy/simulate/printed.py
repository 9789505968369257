"""What `drawdown simulate` prints, of the texts of its files."""

from deploy.simulate.against import parse_against
from deploy.simulate.difference import difference
from deploy.simulate.report import report, to_json
from deploy.simulate.run import run
from deploy.simulate.scenario import parse_scenario
from deploy.simulate.tables import difference_to_text, to_text
from schemas.errors import DocumentError


def simulate(text: str, *, as_json: bool, reference: bool = False) -> str:
    """What `drawdown simulate` prints for a scenario. Raises DocumentError with every fault.

    `reference` runs the plain reference folds instead: the result is the same.
    """
    entries = parse_scenario(text)
    result = report(entries, run(entries, reference=reference))
    return to_json(result) if as_json else to_text(result)


def compare(text: str, other: str, *, as_json: bool) -> str:
    """What `drawdown simulate FILE --against OTHER` prints, of the texts of both files.

    Raises DocumentError with every fault of the first file that has any; the paths of the other
    begin with `against`.
    """
    entries = parse_scenario(text)
    try:
        others = parse_against(other, entries)
    except DocumentError as error:
        faults = [(f"against {path}", expected) for path, expected in error.faults]
        raise DocumentError(faults) from error
    found = difference(report(entries, run(entries)), report(others, run(others)))
    return to_json(found) if as_json else difference_to_text(found)
