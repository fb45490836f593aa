"""What a peer trains: the app interface, tables and the models that come with them."""
