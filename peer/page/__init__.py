"""The page of a running peer in a browser: what it tells, and the server that only answers."""
