"""The toy of the sheet: texts of two clusters."""

TRAIN = ["red apple", "red pear", "fast car", "fast bike"]


POOL = ["red apple", "fast pear", "red car", "unknown words", "red red car", "car"]


TRAIN_LABELS = [0, 0, 1, 1]


POOL_LABELS = [0, 0, 1, 1, 1, 1]
