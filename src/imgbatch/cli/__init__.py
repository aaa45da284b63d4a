"""The commands: from flags to values, from results to text; all else is done below."""
