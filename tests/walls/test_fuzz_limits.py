"""Damaged files end in an error of ours; ``make fuzz`` tries more of them."""

from fuzzing import fuzz


def test_no_damaged_file_is_more_than_an_error_of_ours():
    done, faults = fuzz(60, seed=20_000, most=400)
    assert not faults, "\n".join(faults)
    assert done > 100
