"""Known systems side by side: each as described, searched for the same time, and combined.

In: study files, images, and minutes.
Out: two studies a system, their figures, one table and a page.
Never: trains a net itself, or chooses anything by the test split.
"""
