"""Names under which a study and its trials keep what Optuna has no field for: their attributes in the database."""

# of a study, besides spec, data, ferhpo and metric
BASE = "base"  # the folder of the study file, from which paths of weights start
OBJECTIVES = "objectives"  # names of several objectives, in order
CONSTRAINTS = "constraints"  # as the study file writes them, in its order
DRIVER = "driver"  # the machine that searched last
PRIOR = "prior"  # trials of other studies to learn from, by study
STANDING = "standing"  # the running ensemble beside the best single trial
OPENINGS = "test_openings"  # every opening of the test split
ELSEWHERE = "elsewhere"  # every evaluation on other data
REPEATED = "repeated"  # there are repeats

# of a trial, besides config, history, figures, seconds, checkpoint, error and what its worker knows
VOID = "interrupted"  # it does not count: it could not go on, so its settings were queued again
DEFAULT = "default"  # it has the defaults of the space
TRY = "try"  # what the user wrote who asked for it
REQUEUED_FROM = "requeued_from"  # number of the trial whose settings it was queued with again
REPEATS = "repeats"  # number of the trial whose configuration it trains again, see `repeats`
SEED = "seed"  # of a repeat's training; all configurations are repeated with the same seeds, so that they compare
COPIED_FROM = "copied_from"  # number of the trial whose training it took over, see `copies`
COPIED_AT = "copied_at"  # epochs that were behind that one then; values up to there are its
COSTS = "costs"  # params, latency_ms, memory_mib, as far as they were measured
BROKEN = "broken"  # the constraints that it breaks, in words
VERDICT = ("error", BROKEN, VOID)  # what is true of an ended trial alone

# a system attribute of a trial: what it exceeds the constraints by, in their order. Optuna's samplers read this older
# form as well as the newer one, Optuna Dashboard reads no other.
EXCESSES = "constraints"
