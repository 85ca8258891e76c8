"""`python -m pruneproof`."""

from __future__ import annotations

import sys

from pruneproof.cli import main

sys.exit(main())
