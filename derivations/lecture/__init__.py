"""The lecture's equations (1) to (26), its Table 1 and its running text."""
