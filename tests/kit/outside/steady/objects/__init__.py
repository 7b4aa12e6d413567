"""What Steady holds."""
