"""The game that finds the one step two parties disagree about.

The defender says that every step of a computation is right and commits to the tree of their cells.
In every round it opens a node four levels deep, and the challenger names one of the sixteen nodes
as wrong, with all to the left of it right. At a single step the defender shows what it was made
from (`referee.py`). So a computation of n steps takes ceil(log2(n) / 4) rounds. Whoever does not
move in time loses: deadlines are for whoever keeps the clock.

A challenger that names the first node that differs from its own tree is led to the defender's first
wrong step, all inputs of which are right: that cannot be shown. A defender without a wrong step can
show any. So an honest party wins, whatever the other does, and needs no trust in it.

Pure: a state and a move give the next state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from ganglion.exact.tree import depth_of, fold
from ganglion.scale import u8, u64
from ganglion.wire.receipts import Digest

LEVELS = 4
"""Levels that one round goes down."""


class IllegalMove(ValueError):
    """A move that the game does not allow; nothing changes."""


class Phase(IntEnum):
    """What comes next: the defender commits, opens and proves, the challenger chooses."""

    COMMIT = 0
    OPEN = 1
    CHOOSE = 2
    PROVE = 3


@dataclass(frozen=True, slots=True)
class Game:
    """Which node is in dispute: `index` counts nodes of its height; `opened` are those below it."""

    steps: u64
    phase: Phase
    rounds: u8
    root: Digest
    node: Digest
    height: u8
    index: u64
    opened: tuple[Digest, ...]

    @classmethod
    def begin(cls, steps: int) -> Game:
        """A game about so many steps, to which nobody has committed."""
        return cls(steps, Phase.COMMIT, 0, bytes(32), bytes(32), depth_of(steps), 0, ())

    @property
    def levels(self) -> int:
        """How deep the node in dispute is opened."""
        return min(LEVELS, self.height)

    @property
    def of_defender(self) -> bool:
        """Whether it is the defender's turn."""
        return self.phase is not Phase.CHOOSE


def commit(game: Game, root: bytes) -> Game:
    """The defender commits to the root of all cells."""
    _expect(game, Phase.COMMIT)
    after = Phase.OPEN if game.height else Phase.PROVE
    return replace(game, phase=after, root=root, node=root)


def open_node(game: Game, hashes: tuple[bytes, ...]) -> Game:
    """The defender shows what lies below the node in dispute."""
    _expect(game, Phase.OPEN)
    if len(hashes) != 1 << game.levels or fold(hashes) != game.node:
        raise IllegalMove("these hashes are not those below the node in dispute")
    return replace(game, phase=Phase.CHOOSE, opened=hashes)


def choose(game: Game, which: int) -> Game:
    """The challenger names the first wrong one."""
    _expect(game, Phase.CHOOSE)
    height = game.height - game.levels
    index = (game.index << game.levels) + which
    if not 0 <= which < len(game.opened) or index << height >= game.steps:
        raise IllegalMove("there is no step below this one")
    return replace(
        game,
        phase=Phase.OPEN if height else Phase.PROVE,
        rounds=game.rounds + 1,
        node=game.opened[which],
        height=height,
        index=index,
        opened=(),
    )


def _expect(game: Game, phase: Phase) -> None:
    if game.phase is not phase:
        raise IllegalMove(f"the game waits for another move: {game.phase.name.lower()}")
