"""Of several flows the one that is best on the held-out rows once it is trained."""

from collections.abc import Callable
from dataclasses import replace

from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.training.staged_fit import Prepared, Stage
from skflow.training.state import Epoch


def best_trained(
    prepared: Prepared,
    stage: Stage,
    settings: Settings,
    on_epoch: Callable[[Epoch, Callable[[], Fitted]], bool],
) -> Fitted:
    """Train the candidates as far as the stage says; the one with the best held-out score.

    A training that is interrupted, or that ``on_epoch`` ends, is the last one.
    """
    settings = replace(settings, pause_after=stage.pause_after)
    paused = stage.paused or [None] * len(prepared.candidates)
    stage.paused = []
    trained: list[Fitted] = []
    ended = interrupted = False

    def after_epoch(epoch: Epoch, so_far: Callable[[], Fitted]) -> bool:
        nonlocal ended
        ended = on_epoch(epoch, so_far)
        return ended

    for (flow, recipe), state in zip(prepared.candidates, paused, strict=True):
        started = Fitted(flow, prepared.data, recipe)
        try:
            fitted = fit_flow(started, settings, prepared.seed, after_epoch, paused=state)
        except KeyboardInterrupt:  # before its first epoch
            if not trained:
                raise
            interrupted = True
            break
        trained.append(fitted)
        stage.paused.append(fitted.outcome.paused)
        interrupted = fitted.outcome.interrupted
        if ended or interrupted:
            break
    best = max(trained, key=lambda fitted: fitted.outcome.best_score)
    return replace(best, outcome=replace(best.outcome, interrupted=interrupted))
