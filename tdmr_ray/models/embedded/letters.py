"""The letters and fonts that the built-in foundations are pretrained on.

The letters are Latin, Greek and Cyrillic. No class is a digit in any form, so that a task of digits is new to a
foundation, and no other script is touched, so that the data set `script` is new to it as well. Letters that are
indistinguishable once every glyph is scaled to the same box (o and O, Latin A and Greek Alpha) are one class. A digit's
doubles (Cyrillic Ze, small Be) are left out; O and I remain, as letters that any alphabet has.
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
