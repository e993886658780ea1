"""One module for each job: the order of steps, and counting over them."""
