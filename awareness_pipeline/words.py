"""Common words of nine languages, for telling the language of a text.

Of each language first its function words, then words that commit messages are full of. A word that
several languages share stands in each. Chosen by hand; see `gitio.message` for how they count.
"""

from typing import Final

FUNCTION_AND_USUAL: Final = {
    "en": (
        """
        the of and to in is it for with from when that this not be are on by as if an
        at was has have should can will so no use now instead but or we you all only
        into also do does don after before more than which there them its out up about
        because while without per again another something
        """,
        """
        add added adds adding fix fixed fixes fixing bug issue remove removed removes
        removing update updated updates updating change changed changes changing make
        makes made move moved rename renamed improve improved allow support supports
        bump release version test tests merge branch pull request docs documentation
        typo typos example examples cleanup clean refactor implement implemented new
        missing unused error errors handling handle check correct set file files code
        build default option options function method class message messages initial
        commit first readme license upgrade simplify revert drop deprecated warning
        warnings work works working better minor small some using used ensure avoid
        return returns value values name names type types list line lines key apply
        bumped comment comments deprecate disable disabled enable enabled format
        formatting handles increase increased introduce introduced moves moving
        properly reduce register replace replaced respect restore restored skip store
        template templates treat
        """,
    ),
    "es": (
        """
        el los las un una que en con por para del al se su es más no lo como y o pero
        si ya está cuando sin sobre desde este esta estos también de la
        """,
        """
        añadir añadido agregar agregado agrega arreglar arreglo corregir corregido
        corrige actualizar actualizado actualiza cambio cambios cambiar eliminar
        eliminado prueba pruebas archivo archivos ejemplo versión mejoras nueva nuevo
        error código primera carga
        """,
    ),
    "pt": (
        """
        o os as um uma que em com por para do da dos das no na nos nas ao se sua é
        mais não como e ou mas já está quando sem sobre este esta isso também de
        """,
        """
        adicionar adicionado adiciona adicionando corrigir corrigido corrige correção
        correções atualizar atualizado atualiza atualização alteração alterações
        remover removido mudança teste testes arquivo arquivos exemplo versão melhoria
        nova novo ajuste ajustes código
        """,
    ),
    "fr": (
        """
        le les un une des du que qui en avec pour par dans sur au aux se sa son est
        plus pas ne comme et ou mais si quand sans ce cette ces aussi de la à l d
        """,
        """
        ajout ajoute ajouter ajouté ajoutée corrige corriger correction corrections
        mise jour modification modifications modifier supprimer suppression suppr test
        fichier fichiers exemple version nouvelle nouveau erreur amélioration
        changement début
        """,
    ),
    "de": (
        """
        der die das den dem des ein eine einen und oder nicht mit für von zu zum zur
        im in auf ist sind wird werden wenn auch aus bei nach als noch nur über um war
        jetzt mehr kein keine
        """,
        """
        hinzugefügt hinzufügen korrigiert korrektur behoben fehler geändert änderung
        änderungen aktualisiert entfernt entfernen verbessert neue neuer neues datei
        dateien beispiel anpassung anpassungen angepasst umbenannt erster
        """,
    ),
    "it": (
        """
        il lo gli un una che in con per del della dei delle di da nel nella al alla si
        è più non come e o ma se quando senza sul sulla questo questa anche i la
        """,
        """
        aggiunto aggiunta aggiungi aggiunti corretto corretta correzione correzioni
        aggiornato aggiornamento aggiornata modifica modifiche modificato rimosso
        rimossa rimozione prova esempio versione nuova nuovo errore sistemato
        """,
    ),
    "nl": (
        """
        de het een en van in op met voor niet dat die te zijn is wordt worden als bij
        naar uit ook aan door over nog deze dit om maar geen
        """,
        """
        toegevoegd toevoegen verwijderd verwijderen gewijzigd wijziging wijzigingen
        bijgewerkt aangepast aanpassing fout fouten opgelost bestand bestanden
        voorbeeld nieuwe nieuw
        """,
    ),
    "pl": (
        """
        i w z na do nie się jest że dla po przez od za o oraz jak przy ze już tylko
        lub ale to
        """,
        """
        dodano dodanie dodaj dodałem poprawka poprawki poprawiono poprawa usunięto
        usunięcie zmiana zmiany zmieniono aktualizacja plik pliki przykład nowa nowy
        błąd błędy testy
        """,
    ),
    "tr": (
        """
        ve bir bu için ile da de değil olarak olan çok daha gibi ama veya sonra kadar
        """,
        """
        eklendi ekle düzeltildi düzeltme güncellendi güncelleme kaldırıldı silindi
        değiştirildi değişiklik dosya hata yeni örnek
        """,
    ),
}
