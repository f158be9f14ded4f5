"""The same client against a real server and against a stub, and what it saw of either."""
