"""How the two parties play: from what each has computed itself to its next move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ganglion.exact.case import Case
from ganglion.exact.game import Game, Phase, choose, commit, open_node
from ganglion.exact.ops import Machine
from ganglion.exact.program import Program
from ganglion.exact.referee import Proof, prove
from ganglion.exact.trace import Trace
from ganglion.exact.tree import Tree, leaf


@dataclass(frozen=True, slots=True)
class Commit:
    """The defender's root."""

    root: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """The hashes below the node in dispute."""

    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """The first wrong one of them."""

    which: int


@dataclass(frozen=True, slots=True)
class Prove:
    """What the last step was made from."""

    proof: Proof


Move = Commit | Open | Choose | Prove


@dataclass(frozen=True)
class Book:
    """A program and its weights, as both parties have them."""

    program: Program
    tiles: Sequence[bytes]

    @cached_property
    def tree(self) -> Tree:
        """The hashes of all tiles."""
        return Tree([leaf(tile) for tile in self.tiles])

    def machine(self, case: Case) -> Machine:
        """What computes a case."""
        return Machine(self.program, case)

    def trace(self, case: Case, through: bool = False) -> Trace:
        """The computation of a case."""
        return Trace(self.machine(case), self.tiles, through)


class Defender:
    """Stands by an answer: commits, opens and proves."""

    def __init__(self, book: Book, case: Case) -> None:
        self.book, self.case = book, case

    @cached_property
    def trace(self) -> Trace:
        """The computation, made when the first move is due."""
        return self.book.trace(self.case, through=True)

    def move(self, game: Game) -> Move | None:
        """The next move, or None if it is the other's turn."""
        if game.phase is Phase.COMMIT:
            return Commit(self.trace.tree.root)
        if game.phase is Phase.OPEN:
            return Open(self.trace.tree.below(game.height, game.index, game.levels))
        if game.phase is Phase.PROVE:
            return Prove(prove(self.trace, self.book.tree, game.index))
        return None


class Challenger:
    """Says that an answer is wrong, and where."""

    def __init__(self, book: Book, case: Case) -> None:
        self.book, self.case = book, case

    @cached_property
    def trace(self) -> Trace:
        """The computation up to the first token that is not the answer's."""
        return self.book.trace(self.case)

    @property
    def objects(self) -> bool:
        """Whether the answer is wrong."""
        return self.trace.wrong is not None

    def move(self, game: Game) -> Move | None:
        """The next move, or None if it is the other's turn, or nothing that is shown is wrong."""
        if game.phase is not Phase.CHOOSE:
            return None
        own = self.trace.tree.below(game.height, game.index, game.levels)
        differ = (at for at, (a, b) in enumerate(zip(own, game.opened)) if a != b)
        which = next(differ, None)
        return None if which is None else Choose(which)


def play(game: Game, move: Move) -> Game:
    """The game after a move other than the last."""
    match move:
        case Commit(root):
            return commit(game, root)
        case Open(hashes):
            return open_node(game, hashes)
        case Choose(which):
            return choose(game, which)
    raise ValueError("the referee decides about a proof")
