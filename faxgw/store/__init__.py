"""The database: what runs it, how it is reached, and every table in it."""
