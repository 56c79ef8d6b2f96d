"""Faxes: accepted, drawn, changed from state to state, canceled, opened again."""
