"""Text by tokens: every cut of it is the cut of the whole."""

from hypothesis import given
from hypothesis import strategies as st

from neurons.gateway.spoken import Spoken


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=4))), st.data())
def test_cuts_are_those_of_the_whole(parts: list[tuple[int, str]], data: st.DataObject) -> None:
    spoken, whole, ends = Spoken(), "", [0]
    for tokens, piece in parts:
        spoken.add(tokens, piece)
        whole += piece
        ends[-1] = len(whole) if not tokens else ends[-1]
        ends += [len(whole)] * tokens
    assert spoken.whole() == whole
    assert spoken.length == len(whole)
    assert spoken.ends == ends
    begin, end = (data.draw(st.integers(0, len(whole) + 1)) for _ in range(2))
    assert spoken.cut(begin, end) == whole[begin:end]
