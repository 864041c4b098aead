"""`python -m local`: the commands of the local stack without the rest of the command line."""

import sys

from local.commands import main

if __name__ == "__main__":
    sys.exit(main())
