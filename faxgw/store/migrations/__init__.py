"""The numbered steps by which the database comes to be as this version of the program needs it."""
