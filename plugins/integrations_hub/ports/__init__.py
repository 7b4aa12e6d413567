"""Every Protocol: what a floor asks of the floor that fulfils it."""
