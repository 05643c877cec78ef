"""What happens to a program that is checked: it is rewritten, and tells the detector what it does."""
