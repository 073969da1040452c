"""What operators ask of rules: which are in force, why one fires or does not, what an edit does, what one costs.

Everything here looks at a running evaluator, or at a copy, and changes nothing.
"""
