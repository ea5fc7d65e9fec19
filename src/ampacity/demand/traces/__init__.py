"""Traces of requests, read from the formats people have and written to those that replay tools read: a file each."""
