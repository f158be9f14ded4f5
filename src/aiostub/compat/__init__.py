"""Other libraries' words over the same core, for suites that shall run unchanged.

`aiostub.compat.aioresponses` stands in for the package aioresponses, version 0.7.9. Nothing
outside of this folder needs it.
"""
