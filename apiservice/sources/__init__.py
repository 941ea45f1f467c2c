"""The sources themselves, as the list of them and the doctor tell of them: examined, and held beside each other."""
