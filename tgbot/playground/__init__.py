"""A Bot API server on loopback: the wire that tests run against, and the page that people play with."""
