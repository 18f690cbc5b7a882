"""In which state the market is: calm, normal or storm."""
