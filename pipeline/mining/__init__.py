"""Which damage a trained system still fails on, how sure that is, and a recipe that asks more of
it."""
