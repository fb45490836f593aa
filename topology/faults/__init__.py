"""What goes wrong without any liar: failing peers and links, cut networks, members that come and go."""
