"""What calls have taught of the machines at the other end: pure rules, their storage, and what follows for a call."""
