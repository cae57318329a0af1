"""What a DICOM header says of the part, the view and the way round, held against an upright frontal chest."""

import re
from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

#: Body parts (PS3.16 annex L) that leave no lung in the picture. A list of what is refused, because chest is spelled
#: in more ways than anyone can list.
# fmt: off
_ELSEWHERE: Final = frozenset({
    "HAND", "WRIST", "FINGER", "THUMB", "FOREARM", "ELBOW", "HUMERUS", "ARM", "UPPERARM", "SHOULDER",
    "FOOT", "FEET", "TOE", "ANKLE", "CALCANEUS", "LEG", "TIBIA", "FIBULA", "TIBIAFIBULA", "KNEE", "PATELLA",
    "FEMUR", "THIGH", "HIP", "PELVIS", "SACRUM", "COCCYX", "LSPINE", "CSPINE", "LSSPINE", "SKULL", "HEAD",
    "FACE", "JAW", "MANDIBLE", "MAXILLA", "NOSE", "ORBIT", "SINUS", "ZYGOMA", "TEETH", "NECK", "BREAST",
    "ABDOMEN", "EXTREMITY", "EXM",
})
_CHEST: Final = frozenset({"CHEST", "THORAX", "THORACIC", "LUNG", "RIB", "STERNUM", "HEART", "MEDIASTINUM"})
_NOT_FRONTAL: Final = frozenset({
    "LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "LAO", "RAO", "LPO", "RPO", "LLO", "RLO", "OBL", "OBLIQUE",
})
_FRONTAL: Final = frozenset({"PA", "AP"})
#: PatientOrientation is of PS3.3 section C.7.6.1.1.1: a side, then the feet, in an upright frontal film.
_ORIENTATION: Final = re.compile(r"[APRLHF]{1,3}")
#: Codes of SNOMED CT and, before 2020, SNOMED RT: views of PS3.16 CID 4010, regions of CID 4009.
_VIEWS: Final = {
    "lateral": (
        "399067008", "R-102CD", "399173006", "R-10236", "399198007", "R-10232", "399352003", "R-10228",
        "399260004", "R-10224",
    ),
    "oblique": (
        "399182000", "R-102C1", "399135007", "R-10220", "399356000", "R-40985", "399006002", "R-10212",
        "399038007", "R-10210", "399184004", "R-10238", "399236003", "R-10234", "399312000", "R-10208",
        "399059000", "R-10216", "399160007", "R-10204", "260427002", "R-40783", "260426006", "R-40782",
    ),
}
_REGIONS: Final = {
    "the abdomen": ("818981001", "113345001", "T-D4000", "818982008"),
    "the arm": (
        "53120007", "T-D8000", "40983000", "T-D8200", "14975008", "T-D8500", "85050009", "T-12410", "16953009",
        "T-15430", "16982005", "T-D2220", "371195002", "T-D0821",
    ),
    "the breast": ("76752008", "T-04000"),
    "the foot": (
        "56459004", "T-D9700", "29707007", "T-D9800", "80144004", "T-12770", "27949001", "T-15770", "58742003",
        "T-12980", "70258002", "T-15750",
    ),
    "the hand": (
        "85562004", "T-D8700", "7569003", "T-D8800", "76505004", "T-D8810", "74670003", "T-15460",
    ),
    "the head": (
        "69536005", "T-D1100", "774007", "T-D1000", "89546000", "T-11100", "661005", "T-D1213", "91609006",
        "T-11180", "70925003", "T-11170", "2095001", "T-22000", "91397008", "T-11196", "74386004", "T-11149",
        "363654007", "T-D14AE", "13881006", "T-11166", "53620006", "T-15290",
    ),
    "the leg": (
        "61685007", "T-D9000", "68367000", "T-D9100", "30021000", "T-D9400", "72696002", "T-D9200", "64234005",
        "T-12730", "71341001", "T-12710", "87342007", "T-12750", "72001000", "T-12700",
    ),
    "the neck": ("45048000", "T-D1600", "122494005", "T-11501"),
    "the pelvis": (
        "816092008", "12921003", "T-D6000", "29836001", "T-D2500", "24136001", "T-15710", "54735007", "T-11AD0",
        "64688005", "T-11BF0", "39723000", "T-15680", "1231522001", "1217254007",
    ),
    "the lumbar spine": ("122496007", "T-11503", "1217253001"),
    "a limb": ("66019005", "T-D0300"),
}
# fmt: on
_WORD: Final = re.compile(r"[A-Z]+")


def contradictions(header: Dataset) -> tuple[str, ...]:
    """Return sentences on what the header says against an upright frontal chest radiograph."""
    return (*_of_the_part(header), *_of_the_view(header), *_of_the_way_round(header))


def _of_the_part(header: Dataset) -> Iterator[str]:
    part = str(header.get("BodyPartExamined") or "").strip().upper()
    words = [_singular(word) for word in _WORD.findall(part)]
    elsewhere = next((word for word in words if word in _ELSEWHERE), None)
    if elsewhere and not any(word in _CHEST for word in words):
        yield f"The file says that it shows {'EXTREMITY' if elsewhere == 'EXM' else elsewhere}, not the chest."
    elif region := _named(header, "AnatomicRegionSequence", _REGIONS):
        yield f"The file says that it shows {region}, not the chest."


def _singular(word: str) -> str:
    """A body part without its plural and without the L or R of a side, where that leaves one."""
    for meant in (word, word.removesuffix("S"), word[1:] if word[:1] in "LR" else word):
        if meant in _ELSEWHERE | _CHEST:
            return meant
    return word


def _of_the_view(header: Dataset) -> Iterator[str]:
    words = _WORD.findall(str(header.get("ViewPosition") or "").upper())
    view = next((word for word in words if word in _NOT_FRONTAL), None)
    if words and any(word in _FRONTAL for word in words):
        return
    view = view or _named(header, "ViewCodeSequence", _VIEWS)
    if view:
        yield f"The file says that its view is {view}; the models know frontal views (PA, AP) only."


def _of_the_way_round(header: Dataset) -> Iterator[str]:
    """Where rows and columns lead in the patient: to a side and to the feet in an upright frontal film."""
    said = header.get("PatientOrientation")
    values = [] if isinstance(said, str) else [str(value).strip().upper() for value in said or ()]
    if len(values) != 2 or not all(_ORIENTATION.fullmatch(value) for value in values):
        return
    row, column = values
    what = None
    if row[0] in "HF":
        what = "lies on its side"
    elif column[0] == "H":
        what = "stands on its head"
    elif row[0] in "AP" and column[0] == "F":
        what = "is seen from the side"
    if what:
        yield (
            f"The file says that the picture {what} (patient orientation {row}, {column}); the models know upright"
            " frontal films only. Turn it upright if it is not."
        )


def _named(header: Dataset, keyword: str, known: dict[str, tuple[str, ...]]) -> str | None:
    """The word for the code of a sequence's first item, None where it is absent or says nothing against a chest."""
    items = header.get(keyword)
    if not items:
        return None
    code = str(items[0].get("CodeValue") or "").strip().upper()
    return next((word for word, codes in known.items() if code in codes), None)
