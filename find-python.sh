#!/bin/sh
# Print the first Python 3.12, 3.11 or 3.10 that can make virtual environments; --explain says what to
# install where there is none.
if [ "${1:-}" = "--explain" ]; then
    cat >&2 <<'END'
error: Plumbline needs Python 3.10, 3.11 or 3.12 with its venv module, and none was found on PATH.
  Debian, Ubuntu:  apt-get install python3 python3-venv python3-dev
  Fedora:          dnf install python3.12 python3.12-devel
  conda:           conda create -n python312 python=3.12
  macOS:           brew install python@3.12
Then run make again, or name the interpreter: make env PYTHON=/path/to/python3.12
END
    exit 2
fi
for candidate in python3.12 python3.11 python3.10 python3 python; do
    "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
        2>/dev/null && { command -v "$candidate"; exit 0; }
done
exit 0
