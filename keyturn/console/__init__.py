"""The console: how keyrings and runs stand, what a person may order, and by what they are let in."""
