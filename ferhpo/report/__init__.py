"""Shows what a study holds: tables, charts, one page to keep, a dashboard to watch.

In: a study open for reading, its ensemble's folder. Out: pandas frames, one HTML file, a local web server.
Never: imports torch or Ray, writes to a study, or computes anything on the test split.
"""
