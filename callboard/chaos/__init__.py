"""``callboard chaos``: real faults against a real installation, from a seed, then the ten invariants."""
