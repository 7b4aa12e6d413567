"""Values in, values out: no I/O, standard library only."""
