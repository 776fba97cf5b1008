"""English scores high, other languages and scripts low, names not at all."""

import pytest

from awareness_pipeline.teacher.quality.english import english
from awareness_pipeline.teacher.quality.verdict import MIN_ENGLISH


@pytest.mark.parametrize(
    "text",
    [
        "Retry the upload",
        "Cache tokenizer",
        "Rename the upload to Café retry",
        "Support gzip compressed responses",
        "When the network drops, the upload hangs. It should retry, then report an error.",
        "Rename ladeBenutzer_und_der_die_das to load_user",
    ],
)
def test_english_passes(text: str) -> None:
    assert english(text) >= MIN_ENGLISH


@pytest.mark.parametrize(
    "text",
    [
        "Повтори upload файла ещё раз",
        "添加用户 retry",
        "Der Fehler beim Laden der Datei wird behoben",
        "Ajouter la gestion des erreurs",
        "Corrige o erro de arredondamento no cálculo",
        "Användare kan inte ladda upp filer om nätverket försvinner när servern startar om",
        "Käyttäjä ei voi ladata tiedostoja palvelimelle koska yhteys katkeaa",
        "😀 12",
        "load_user",
        "",
    ],
)
def test_what_is_not_english_fails(text: str) -> None:
    assert english(text) < MIN_ENGLISH


def test_long_text_ends() -> None:
    assert english("a" * 200_000) == 1.0
    assert english("der " * 50_000) < 0.01
