"""What is known to be wrong with this version, from signed feeds; and what this version is made of."""
