"""How charts tell things apart."""

from __future__ import annotations

from report.theme import looks


def test_names_look_different_and_the_same_in_every_chart() -> None:
    names = [f"method {number}" for number in range(40)]

    def seen(present: list[str]) -> list[tuple[str, str]]:
        scales = [channel.to_dict()["scale"] for channel in looks("method", names, present)]
        assert all(scale["domain"] == present for scale in scales)
        return list(zip(*(scale["range"] for scale in scales), strict=True))

    assert len(set(seen(names))) == 40
    assert seen(names[7:9]) == seen(names)[7:9]
