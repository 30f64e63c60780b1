"""A fit that fails leaves the estimator as it was."""

from functools import wraps

# scikit-learn ends its callbacks by these, after the fit that failed: without them their threads
# live on, and the process with them.
FOR_TEARDOWN = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def keeps_state_on_error(method):
    """Make a fit that fails leave the estimator as it was: unfitted, or with its earlier fit."""

    @wraps(method)
    def guarded(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            kept = {name: vars(self)[name] for name in FOR_TEARDOWN if name in vars(self)}
            vars(self).clear()
            vars(self).update(before | kept)
            raise

    return guarded
