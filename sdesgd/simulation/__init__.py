"""The one driver: many replicas of any dynamics, from one start or many, to ``Trajectories``.

``driver`` is the call; ``plan`` a run before its first step; ``loop`` the loop on the host; ``segments`` what is
compiled; ``regrouping`` which replicas step together; ``watch`` what is saved, counted and waited for; ``checkpoint``
the state of a run on disk; ``starts``, ``admission`` and ``divergence`` check what goes in and out.
"""

from sdesgd.simulation.driver import simulate
from sdesgd.simulation.plan import replica_blocks

__all__ = ["replica_blocks", "simulate"]
