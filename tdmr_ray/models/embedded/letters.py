"""The letters and fonts that the built-in foundations are pretrained on.

The letters are Latin, Greek and Cyrillic. No class is a digit in any form, so a task of digits is new to a
foundation. No other script is included, so the data set `script` is new to it as well. Letters that are
indistinguishable once every glyph is scaled to the same box (o and O, Latin A and Greek Alpha) are one class. Letters
that look like digits (Cyrillic Ze, small Be) are left out, except O and I.
"""

LETTERS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abdefghijkmnpqrtuy"
    "ÆæŒœßØøÞþðŁŊŋĦħ"
    "ÂÅĄÇČĎÈËĘĜĢĤÎÏĮĴĶĹĻÑŅÖŐŔŖŠŞŤŢÜŮŲŴÝŽ"
    "àåäąçćďèëęĝģĥîïįĵķĺļľñņöőŕŗšşťţüůųŵýž"
    "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθιλμξπςστφχψωϑϕϖϱ"
    "БДЖИЙЛУЦЧШЩЪЫЬЭЮЯЂЉЊЋЏѢѪҐђћ"
)

TRAIN_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmr10",
    "cmb10",
    "cmss10",
    "cmti10",
    "cmmi10",
)
HELD_OUT_FONTS = ("DejaVuSansMono-BoldOblique", "DejaVuSerif-BoldItalic", "STIXGeneralBolIta", "cmtt10")
