"""Stand-ins for the two sets of photographs of the paper, made from a seed."""
