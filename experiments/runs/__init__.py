"""How far from the minimum of a parabola does SGD wander? Its variance against the learning rate, beside the law."""
