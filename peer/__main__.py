"""`python -m coterie.peer` is the command `peer`."""

import sys

from .cli import main

sys.exit(main())
