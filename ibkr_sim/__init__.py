"""A simulator of Interactive Brokers' TWS and IB Gateway: their socket protocol, a market, accounts and faults."""
