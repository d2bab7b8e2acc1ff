"""The command line. Talks to the daemon's socket and imports neither the engine nor trio: start-up time is its budget.

main       argv -> verb -> exit code; the only place that turns errors into words
table      the verbs, in the order of `tagfs --help`
<verb>.py  one file a verb or pair of verbs: arguments, examples, what it prints
session    which state directory, which daemon         refs     ITEM arguments
display    names, sizes and times for people            output   lists as lines or JSON
"""
