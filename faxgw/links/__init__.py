"""Links: one fax, opened without signing in, for a time and so many times."""
