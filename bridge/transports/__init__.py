"""The ways on which calls come: a folder for each, and no more of a transport outside of it."""
