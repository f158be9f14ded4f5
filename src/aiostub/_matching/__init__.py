"""What a request says, and whether a route's conditions hold for it.

The rules of this folder:

- Matching is sync and pure. It says `Match`, `Mismatch` or `UNDECIDED`; "no" is a value.
- What a user's matcher raises goes through untouched: it never means "no match".
- What the user wrote is checked and taken apart once, when the route is registered.
"""
