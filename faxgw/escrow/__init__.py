"""Escrow: boxes that several trustees together can have opened in an emergency, where the tenant has said so."""
