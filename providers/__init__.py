"""What we know about outside systems: one folder per system; `ls providers` is the catalogue."""
