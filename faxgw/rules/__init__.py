"""What is decided about a fax: may it go, when, by which line, what after a failed call; where an incoming one goes."""
