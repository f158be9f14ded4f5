"""What a request says, and whether a route's conditions hold for it."""
