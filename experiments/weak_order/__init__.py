"""How fast do weak errors vanish with the learning rate? Slopes of SDE, SVAG, momentum and a net."""
