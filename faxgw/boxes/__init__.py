"""Boxes: their keys, who besides the owner may do what with them, and what is passed on from one to another."""
