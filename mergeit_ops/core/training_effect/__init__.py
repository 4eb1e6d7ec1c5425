"""Drawing rows to train on, and judging the losses after the trainings."""
