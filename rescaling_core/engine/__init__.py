"""Networks as they are run: the same function as in `networks`, rearranged for speed."""
