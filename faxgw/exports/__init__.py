"""What people take with them: a box with all its faxes, records of calls, evidence of how data is kept."""
