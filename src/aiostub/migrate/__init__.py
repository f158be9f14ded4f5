"""Rewrite tests that use aioresponses 0.7.9 as native ones: ``python -m aiostub.migrate PATH...``.

A test is rewritten only where it then means the same; what is left alone is listed with the reason.
Nothing here is loaded by the rest of the package, nor loads it. The way of one run::

    _files      which files, how their bytes are read and written
    _module     one parsed file: parents, lines, what a name refers to
    _project    all files: imports between them, fixtures, classes, functions
    _values     what is known of an expression without running it
    _roles      which expressions are the mock, its requests, a call, its arguments
    _units      the smallest pieces that are rewritten whole or not at all
    _urls, _routes, _callbacks, _log, _switch    the rules: one construct there, one here
    _expected   what a test expects that it does not meet natively
    _imports    the names that a rewritten file needs, and needs no more
    _translate  rules applied, units that hold together decided together, files rewritten
"""
