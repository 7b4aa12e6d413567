"""Integrations Hub: the trunk. Floors and their rules: docs/architecture.md."""
