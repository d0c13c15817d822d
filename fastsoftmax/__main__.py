"""``python -m fastsoftmax``."""
# PYTHON_ARGCOMPLETE_OK: argcomplete, where it completes every Python program, may run this one

import sys

from fastsoftmax.cli import main

if __name__ == "__main__":
    sys.exit(main())
