"""`python -m sandbox.keeper DIRECTORY DESCRIPTOR`: hold the sandbox of that directory until it ends."""

from __future__ import annotations

import sys

from sandbox.keeper.life import hold

if __name__ == "__main__":
    sys.exit(hold(sys.argv[1], int(sys.argv[2])))
