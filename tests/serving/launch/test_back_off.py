"""The delays before restarts."""

from plumbline.serving.launch.back_off import BackOff


def test_the_first_restart_is_at_once_then_delays_double_up_to_the_limit() -> None:
    back_off = BackOff(first_seconds=0.5, longest_seconds=3.0)
    assert [back_off.delay(0.1) for _ in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_calm_time_resets_it() -> None:
    back_off = BackOff(calm_seconds=60.0)
    assert [back_off.delay(0.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert [back_off.delay(ran) for ran in (60.0, 59.0, 1.0, 100.0)] == [0.0, 0.5, 1.0, 0.0]
