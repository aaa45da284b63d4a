"""What a run is: its files found, planned, written, and reported; whoever computes them."""
