"""Training of rescalers: recipe, patches, objectives, the loop. Arrays in, weights out."""
