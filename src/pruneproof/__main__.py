"""`python -m pruneproof`."""

from __future__ import annotations

import sys

try:
    from pruneproof.cli import main

    sys.exit(main())
except KeyboardInterrupt:  # while Python was still loading; later ones are told by `main`
    print("pruneproof: interrupted", file=sys.stderr)
    sys.exit(130)
