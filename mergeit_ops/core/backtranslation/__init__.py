"""Write instructions, or whole tasks, for texts."""
