"""The command line: parse, call one function, print.

In: words. Out: results on stdout, talk on stderr, an exit code (0 done, 1 failed, 2 misused, 130 interrupted).
Never: decides anything; imports what is slow before a command needs it.
"""
