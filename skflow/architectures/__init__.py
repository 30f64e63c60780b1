"""The learned stacks that an estimator chooses from."""
