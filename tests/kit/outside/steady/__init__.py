"""Steady, a provider of the tests: connected by client credentials."""
