"""Be found as ``aioresponses`` by the processes that a run starts, and step aside for ours.

The folder above stands in their PYTHONPATH.
"""

import sys
from importlib import import_module

from aiostub.compat import _names

_names.install()
del sys.modules[__name__]
import_module(
    __name__
)  # found by what was installed; the import system takes what stands here then
