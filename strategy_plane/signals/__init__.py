"""Views of the market as scores."""
