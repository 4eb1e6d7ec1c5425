"""What training on a set of rows does to a model: which rows are trained on, and what their losses say."""
