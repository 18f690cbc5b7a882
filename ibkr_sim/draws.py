"""Random numbers that depend on a seed and on what they are for, never on what was drawn before."""

from hashlib import blake2b

_ROOT_OF_THREE = 3.0**0.5
_MASK = (1 << 64) - 1


class Draws:
    """A stream of uniform numbers for one purpose.

    Two streams of the same seed and purpose are equal, whoever else draws: so that the market does not depend on the
    requests. The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int, *purpose: object) -> None:
        text = "|".join(map(str, (seed, *purpose)))
        self._state = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())

    def bits(self) -> int:
        """64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """A number from 0 (included) to 1 (excluded)."""
        return (self.bits() >> 11) * 2.0**-53

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit`` - 1."""
        return int(self.uniform() * limit)

    def normal(self) -> float:
        """A roughly normal number: mean 0, variance 1, within 3.5 (Irwin-Hall of four)."""
        return (self.uniform() + self.uniform() + self.uniform() + self.uniform() - 2.0) * _ROOT_OF_THREE
