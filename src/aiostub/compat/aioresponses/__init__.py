"""Stand in for aioresponses 0.7.9: the same names, arguments, results and exceptions.

::

    from aiostub.compat.aioresponses import aioresponses

    with aioresponses() as m:
        m.get("https://api.example.com/users/7", payload={"name": "Ada"})
        ...

It only translates: what it registers is answered by the core of aiostub, so that aiohttp's own
client makes the response.
"""

from aiostub.compat.aioresponses.core import CallbackResult, aioresponses

__version__ = "0.7.9"  # of the package that this one stands in for

__all__ = ["CallbackResult", "aioresponses"]
