"""The network that finds ink: not one of the five that name digits, but what shows them the digit."""

NAME = "ink"
