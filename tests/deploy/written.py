"""What processes write: Python tells of each file opened to be written and each change of a folder.

What a library of C opens by itself is not seen.
"""

import os
from pathlib import Path
from typing import Final

_HOOK: Final = """
import os, sys
def told(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else 0
        if not writes or isinstance(path, int):
            return
    elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link", "os.truncate", "os.remove"):
        path = arguments[0]
    else:
        return
    line = f"{event} {os.path.realpath(os.fsdecode(path))}\\n".encode(errors="replace")
    os.write(descriptor, line)
descriptor = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(told)
"""
_DEVICES: Final = ("/dev/", "/proc/")


class Writes:
    """What is written by the processes that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        self._hook, self._told = folder / "hook", folder / "told"
        self._hook.mkdir(parents=True)
        (self._hook / "sitecustomize.py").write_text(_HOOK)
        self._told.touch()

    def environment(self, *paths: str) -> dict[str, str]:
        """What a process must have in its environment; `paths` are its PYTHONPATH."""
        return {
            "PYTHONPATH": os.pathsep.join([str(self._hook), *filter(None, paths)]),
            "TOLD": str(self._told),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def outside(self, *allowed: str) -> list[str]:
        """What was written that does not begin with one of `allowed`, nor is a device."""
        lines = (line.split(" ", 1)[1] for line in self._told.read_text().splitlines())
        return [each for each in lines if not each.startswith((*_DEVICES, *allowed))]
