"""Prompt prefixes that an earlier request has sent, told by the hashes of their blocks."""

from collections import OrderedDict
from collections.abc import Sequence

BLOCK_TOKENS = 512


class PrefixCache:
    """Least recently used prefix blocks, as an inference server keeps them. Not thread-safe."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def shared_tokens(self, blocks: Sequence[int], input_tokens: int) -> int:
        """Tokens of the leading blocks that are cached; afterwards all of `blocks` are."""
        shared = next((n for n, block in enumerate(blocks) if block not in self._blocks), len(blocks))
        for block in blocks:
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
        return min(shared * BLOCK_TOKENS, input_tokens)
