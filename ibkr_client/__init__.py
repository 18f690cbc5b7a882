"""The connection to Interactive Brokers that the data plane and the order plane share."""
