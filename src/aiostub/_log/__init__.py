"""What has happened: the calls, their frames, and what may be asserted of them."""
