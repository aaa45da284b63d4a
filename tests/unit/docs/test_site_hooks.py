from __future__ import annotations

from types import SimpleNamespace

from docs.site_hooks import on_page_markdown


def on_page(address: str, text: str) -> str:
    return on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=address)))


def test_a_link_into_the_source_tree_keeps_only_its_words() -> None:
    text = "see [rows](../kernels/imgbatch_kernels/rows.py#L3), and [formats](formats.md)"
    assert on_page("kernels.md", text) == "see rows, and [formats](formats.md)"


def test_a_link_from_one_folder_of_the_pages_to_another_stays() -> None:
    text = "[operations](../operations.md) and [code](../../src/imgbatch/errors.py)"
    assert on_page("reference/errors.md", text) == "[operations](../operations.md) and code"
