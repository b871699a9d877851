import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handwriting.formats.labels import LEAST, distributions


def test_the_likeliest_comes_first_and_what_hardly_counts_is_left_out():
    probabilities = np.array([[0.25, 0.7499, 0.0001], [1, 0, 0], [0.0005, 0.0005, 0.999]])

    found = distributions(probabilities, "ABC")

    assert found == [{"B": 0.7499, "A": 0.25}, {"A": 1.0}, {"C": 0.999}]
    assert [list(one) for one in found] == [["B", "A"], ["A"], ["C"]]


@given(
    rows=st.lists(
        st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(any).map(lambda row: [p / sum(row) for p in row]),
        max_size=6,
    )
)
def test_all_that_counts_is_there(rows):
    found = distributions(np.array(rows).reshape(-1, 5), "ABCDE")

    assert len(found) == len(rows)
    for row, one in zip(rows, found, strict=True):
        said = {name: share for name, share in zip("ABCDE", row, strict=True) if share >= LEAST}
        assert one.keys() == said.keys()
        assert all(abs(one[name] - share) <= 0.00005001 for name, share in said.items())
        assert list(one.values()) == sorted(one.values(), reverse=True)
