"""Rules weighed against data: backtests, scores, sensitivity, and a candidate beside the rules in force."""
