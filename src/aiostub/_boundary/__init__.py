"""Where aiohttp's client asks for a connection, and gets ours."""
