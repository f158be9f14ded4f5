"""Which route takes a request: registered, found, used up."""
