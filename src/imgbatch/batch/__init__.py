"""What a run is: its files found, planned, written, and reported, on whichever engine."""
