"""Words, sentences and characters of any script."""
