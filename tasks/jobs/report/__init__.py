"""The report of a run: one page that tells an owner what it did, from the catalog as it is now.

`summary` adds up Arrow batches, `figures` draws, `previews` makes small images of what is restored,
`page` puts them into a template; `steps` are the Prefect tasks around them.
"""
