"""`python -m coterie.peer` is the command `peer`."""

import sys

from .cli.entry import main

sys.exit(main())
