"""The command `python notebooks/website`; see build.py."""

import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent
# The folder of a script comes first; the files here are parts of a package.
sys.path[:1] = [str(NOTEBOOKS.parent), str(NOTEBOOKS)]

from website.build import main

if __name__ == "__main__":
    sys.exit(main())
