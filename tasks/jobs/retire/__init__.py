"""Deleting sources that can be restored: what may go, the proof of it, and the account of it.

`decisions` says what may be done with a source, from records alone. `verification` restores from
storage and compares. `journal` is the account. `steps` puts them in order, and deletes.
"""
