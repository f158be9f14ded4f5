"""One request from the moment it is made to its end, whoever the client is."""
