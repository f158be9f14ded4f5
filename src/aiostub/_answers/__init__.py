"""What a route does with a request that it takes: reply, fail, and how often."""
