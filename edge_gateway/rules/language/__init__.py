"""The language of rules: expressions, templates, matching, and the rule set itself."""
