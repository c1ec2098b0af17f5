"""When to stop a trial, one rule a file.

In: values of trials at their epochs, as numbers. Out: who goes on, who is paused, whose training another takes over.
Never: knows Ray or the database; a memory is rebuilt from the study by `record`.
"""
