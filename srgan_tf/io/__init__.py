"""Files: pictures to arrays and back, with all that a file carries."""
