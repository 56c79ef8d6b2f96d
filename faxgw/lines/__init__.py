"""Telephone lines at work: kept open, given calls to make, answered; and what every call comes to."""
