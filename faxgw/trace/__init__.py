"""Recorded calls: written while they run, read back, told in plain words, drawn as a ladder."""
