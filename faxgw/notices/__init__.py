"""What people are told by mail: never what is in a fax, never a whole telephone number."""
