"""From files, folders, ZIPs and uploads to radiographs: the only room that knows image formats."""

from lungassist.imaging.intake import expand_upload, iter_studies
from lungassist.imaging.plausibility import doubts
from lungassist.imaging.radiograph import Radiograph
from lungassist.imaging.reader import read_file, read_radiograph
from lungassist.imaging.render import png_bytes, to_uint8
from lungassist.imaging.study import Study

__all__ = [
    "Radiograph",
    "Study",
    "doubts",
    "expand_upload",
    "iter_studies",
    "png_bytes",
    "read_file",
    "read_radiograph",
    "to_uint8",
]
