"""The limits that imgbatch is measured against: work that nobody can do without."""
