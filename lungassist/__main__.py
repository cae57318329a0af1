"""`python -m lungassist`: the command line."""

import sys

from lungassist.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
