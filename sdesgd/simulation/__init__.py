"""The one driver: many replicas of any dynamics, from one start or many, to ``Trajectories``.

``driver`` is the loop on the host; ``segments`` what is compiled; ``watch`` what is saved, counted and waited for;
``checkpoint`` the state of a run on disk; ``starts``, ``admission`` and ``divergence`` check what goes in and out.
"""

from sdesgd.simulation.driver import replica_blocks, simulate

__all__ = ["replica_blocks", "simulate"]
