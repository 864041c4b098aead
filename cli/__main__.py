"""`python -m cli`: the command line where the installed `palimpsest` is not on the path."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main())
