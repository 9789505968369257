"""How much memory a process holds, from Linux's /proc."""

import os
from pathlib import Path
from typing import Final

_PAGE_KILOBYTES: Final = os.sysconf("SC_PAGE_SIZE") // 1024


def resident_kilobytes(pid: int) -> int | None:
    """The resident size of a process; None when it is gone, or where there is no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KILOBYTES
    except (FileNotFoundError, ProcessLookupError):
        return None
