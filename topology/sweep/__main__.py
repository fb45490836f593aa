"""``python -m coterie.topology.sweep`` runs :func:`.runner.main`."""

from .runner import main

raise SystemExit(main())
