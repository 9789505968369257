"""Files that are replaced: a reader finds the old content or the new, whatever dies meanwhile."""

import os
from pathlib import Path
from typing import Final

OWNER_ONLY: Final = 0o600
_USUAL: Final = 0o666  # less what the umask takes


def replace_file(path: Path, content: bytes, mode: int = _USUAL) -> None:
    """Put `content` in the place of `path`, all of it or nothing of it. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # its mode would stay
    with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
