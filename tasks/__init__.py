"""The edges: storage, inventory, the Ray actors, the catalog, reports."""
