"""The `hub` command: everything the Hub does, headless."""
