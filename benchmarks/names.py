"""What the contestants are called."""

FLOOR = "floor"
OURS = "aiostub"
COMPAT = "aiostub.compat"
SERVER = "aiohttp.web"

LABELS = {COMPAT: "aiostub's drop-in", SERVER: "a real server"}


def is_everywhere(name: str) -> bool:
    """Tell whether this is no peer, and so is measured with every aiohttp."""
    return name in {FLOOR, OURS, COMPAT, SERVER}


def label(name: str, versions: dict[str, str | None]) -> str:
    """Return how readers know a contestant: with its version, if it is a peer."""
    return LABELS.get(name, name) if is_everywhere(name) else f"{name} {versions[name]}"
