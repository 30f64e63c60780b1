"""Inner loops: a readable reference beside a fast twin."""
