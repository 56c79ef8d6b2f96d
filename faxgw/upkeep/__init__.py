"""What is due by the clock: what has expired is deleted, and keys that are over are destroyed."""
