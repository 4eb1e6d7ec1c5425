"""Writing instructions, or whole tasks, for texts."""
