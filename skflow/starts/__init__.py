"""The classical density that a flow starts from."""
