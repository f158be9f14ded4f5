"""What carries bytes between a client and what answers it, in memory."""
