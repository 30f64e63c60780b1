"""Networks that give other layers their parameters."""
