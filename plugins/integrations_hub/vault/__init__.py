"""Sealing secrets: the key ring."""
