"""Run a program that is terminated when its parent process dies: `with_parent.py PARENT PROGRAM …`.

The child runs this as a script. Linux sends SIGTERM when the thread that started it ends.

The program's threads get a large stack. The wheel's Triton, 2.51, puts 16 bytes on it for each
chunk of an HTTP body (CVE-2025-23310, fixed in 2.59) and a frame for each level of its JSON: with
the usual 8 MiB, one request of 1 MB crashes the server. Unused stack costs no memory.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1

STACK_BYTES = 2**30


def main(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    _, largest = resource.getrlimit(resource.RLIMIT_STACK)
    stack = STACK_BYTES if largest == resource.RLIM_INFINITY else min(STACK_BYTES, largest)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, largest))
    if os.getppid() == parent:  # otherwise the parent died before prctl
        os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
