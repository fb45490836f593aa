"""The page of a running peer in a browser: what it shows, and its server, through which nothing can be changed."""
