"""What loss does SGD hover at? Mean excess loss against η/S, beside two formulas and exact laws."""
