"""Pictures of the dashboards, drawn with the plot library that InfluxDB's own page uses.

The queries alone prove nothing about the picture. A cell that the library refuses, a console error or an empty cell
without a note is a fault, and the program fails.
"""
