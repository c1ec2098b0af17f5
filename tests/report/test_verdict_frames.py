from ferhpo.report.verdict_frames import confirmed, prior
from ferhpo.study.repeats import Confirmed


def test_a_configuration_that_was_trained_again_is_a_row() -> None:
    one = Confirmed(number=4, searched=0.7, values={1: 0.6, 2: 0.62}, trials=(8, 9))
    single = Confirmed(number=5, searched=None, values={1: 0.5}, trials=(10,), tied=True)
    first, second = confirmed([one, single]).to_dict("records")
    assert (first["number"], first["searched"], round(first["mean"], 6), first["seeds"]) == (4, 0.7, 0.61, 2)
    assert (first["tied"], first["trials"]) == (False, "8, 9")
    assert second["std"] != second["std"], "one seed has no spread"
    assert len(confirmed([])) == 0


def test_prior_trials_are_rows_with_their_study_and_last_value() -> None:
    kept = {"older": [{"number": 3, "state": "PRUNED", "epochs": [1, 2], "values": [0.1, 0.2], "settings": {"lr": 1}}]}
    (row,) = prior(kept).to_dict("records")
    assert row == {"study": "older", "number": 3, "state": "PRUNED", "epochs": 2, "value": 0.2, "params_lr": 1}
    assert len(prior({})) == 0
