"""Several sets of rows beside each other: how good, how varied, and how much of a reference each stands for."""
