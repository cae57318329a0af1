"""Decode one JPEG frame with GDCM: a program of its own, started by `dicom_gdcm`, that may die.

GDCM ends the whole process on some damaged bytes (a C++ exception that its Python wrapper does not catch). It imports
nothing of LungAssist, so that it starts fast.

Arguments: rows, columns, samples, bits allocated, bits stored, signed (0 or 1), photometric interpretation, transfer
syntax. The frame comes on standard input, the samples leave on standard output, little endian, in frame order.
"""

import sys

import gdcm


def decode(frame: bytes, arguments: list[str]) -> bytes:
    """Return the samples of a frame, as many bytes as its PixelFormat says."""
    rows, columns, samples, allocated, stored, signed = (int(number) for number in arguments[:6])
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(arguments[6])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(arguments[7])))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    # GDCM hands its buffer over as text.
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    sys.stdout.buffer.write(decode(sys.stdin.buffer.read(), sys.argv[1:]))
