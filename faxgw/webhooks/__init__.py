"""Webhooks: events on their way to other programs, in the Standard Webhooks form."""
