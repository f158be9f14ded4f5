"""What a test run makes of stubs: reports, leaks, pictures."""
