"""One thing in the text of a config, read or changed, every other byte left as it is."""
