"""The language of the planes: what crosses a process boundary."""
