"""Which checkpoint is the best, and the sentence that says why."""

from __future__ import annotations

import random

from loradeck.tools.start_training.checkpoints import Score, choose


def test_the_lowest_held_out_loss_is_named_with_what_the_rest_of_the_training_brought() -> None:
    points = [Score(200, 0.30, 0.28, 0.002), Score(400, 0.2914, 0.27, 0.001), Score(600, 0.2972, 0.2692, 0.004)]
    best = choose(points, 0.32)
    assert best is not None
    assert best.step == 400
    assert best.why == (
        "lowest held-out loss (0.2914) and least leak (0.0010); by step 600 the training pictures gained 0.3% and the "
        "held-out ones lost 2.0%"
    )


def test_of_two_that_are_as_good_the_one_that_leaks_less_is_the_best() -> None:
    points = [Score(200, 0.2920, 0.28, 0.001, 0.004), Score(400, 0.2914, 0.27, 0.003, 0.004)]
    best = choose(points, 0.32)
    assert best is not None
    assert best.step == 200
    assert "as good as the lowest (0.2914 at step 400), with less leak (0.0010 against 0.0030)" in best.why
    further = choose(points, 0.293)
    assert further is not None
    assert further.step == 400, "where little fell, little counts"


def test_a_trigger_that_says_more_outweighs_a_little_leak() -> None:
    points = [Score(200, 0.2920, 0.28, 0.002, 0.009), Score(400, 0.2914, 0.27, 0.001, 0.001)]
    best = choose(points, 0.32)
    assert best is not None
    assert best.step == 200
    assert best.why.startswith("held-out loss 0.2920, as good as the lowest (0.2914 at step 400), with a trigger that")


def test_the_last_checkpoint_needs_no_comparison_and_no_checkpoint_no_choice() -> None:
    best = choose([Score(1, 0.5), Score(2, 0.4)], 0.6)
    assert best is not None
    assert (best.step, best.why) == (2, "lowest held-out loss (0.4000)")
    assert choose([], 0.6) is None


def test_no_other_checkpoint_is_better_in_one_thing_and_no_worse_in_the_others() -> None:
    chance = random.Random(5)
    for _ in range(200):
        points = [
            Score(step, *(round(chance.uniform(0.1, 0.3), 2) for _ in range(4))) for step in range(chance.randint(1, 8))
        ]
        best = choose(points, 0.4)
        assert best is not None
        chosen = points[best.step]
        for other in points[: best.step] + points[best.step + 1 :]:
            ours = (chosen.held_out, chosen.leak or 0, -(chosen.trigger_gain or 0))
            theirs = (other.held_out, other.leak or 0, -(other.trigger_gain or 0))
            assert not (all(t <= o for t, o in zip(theirs, ours, strict=True)) and theirs != ours)
