"""Where is SGD to be found, and with what probability? Occupancies of basins against Gibbs and exact laws."""
