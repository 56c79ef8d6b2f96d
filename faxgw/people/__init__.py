"""People: who they are, how they sign in, where they belong, and the way from their secrets to their keys."""
