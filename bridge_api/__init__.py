"""What the Hub UI talks to: a FastAPI bridge over the trunk."""
