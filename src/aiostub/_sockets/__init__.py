"""The same routes for clients that come over a real socket."""
