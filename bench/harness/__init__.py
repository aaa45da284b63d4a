"""How things are run, held, timed and written down; what is compared is beside this package."""
