"""`python -m coterie.peer` is the command `peer`."""

import sys

from .entry import main

sys.exit(main())
