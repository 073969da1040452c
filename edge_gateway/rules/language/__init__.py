"""What a rule says: tokens, expressions, templates, and the rule set that comes of the files."""
