"""The rules of the code base, as data and as plain functions over the sources."""
