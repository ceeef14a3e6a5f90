"""The local inbox: takes what the app tells people, from any number of channels, and shows it."""
