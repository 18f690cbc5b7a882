"""Where the order plane writes down what it decides before it acts, and what it hears."""
