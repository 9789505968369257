"""Becomes a command that does not outlive its parent: `python leash.py PARENT SIGNAL COMMAND...`.

Run as a script in a fresh interpreter, so that nothing happens between fork and exec in a process
with threads. On Linux the kernel sends SIGNAL when the thread that started the command ends
(prctl(2)), even by SIGKILL; elsewhere only `ServerProcess.stop` ends it.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind to the parent, then exec; if the parent is gone already, end at once."""
    parent, number, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the command line is the caller's own


if __name__ == "__main__":
    main()
