"""Some of the pictures as DICOM files, in the transfer syntaxes that chest radiographs come
in, with the data of a patient who does not exist.

Each file is read back with pydicom and must give the stored values exactly; where DCMTK
is installed (dcmdjpeg, dcmdrle, dcmconv) or GDCM, they must agree.
"""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian,
                         ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, RLELossless)

from phantom import to_bits

PATIENT = dict(
    PatientName="PHANTOM^ALPHA^^^", PatientID="PHANTOM-0001", IssuerOfPatientID="PHANTOM-HOSPITAL",
    PatientBirthDate="19000101", PatientSex="O", PatientAge="099Y", PatientWeight="70",
    PatientAddress="1 PHANTOM STREET", PatientTelephoneNumbers="+00 000 PHANTOM",
    OtherPatientIDs="PHANTOM-OTHER-ID", PatientComments="PHANTOM COMMENT: NO SUCH PERSON",
    AccessionNumber="PHANTOM-ACC-1", StudyID="PHANTOM-ST-1", InstitutionName="PHANTOM HOSPITAL",
    InstitutionAddress="2 PHANTOM STREET", ReferringPhysicianName="PHANTOM^REFERRER",
    OperatorsName="PHANTOM^OPERATOR", PhysiciansOfRecord="PHANTOM^PHYSICIAN",
    StationName="PHANTOM-STATION", DeviceSerialNumber="PHANTOM-SERIAL-1",
    StudyDescription="PHANTOM CHEST", SeriesDescription="PHANTOM PA",
    ImageComments="PHANTOM IMAGE COMMENT")
LETTERS = {     # rows of 4 pixels, the lowest bit to the left; what the burned-in line needs
    "P": "7997111", "H": "999F999", "A": "699F999", "N": "9BDD999", "T": "7222222",
    "O": "6999996", "M": "9FF9999", "L": "111111F", "^": "0000000", "0": "6999996",
    "1": "2322227", "-": "0006000", " ": "0000000"}


@dataclass(frozen=True)
class File:
    name: str
    picture: str                # of images/, without .png: the same phantom
    syntax: str
    photometric: str = "MONOCHROME2"
    bits: int = 12
    burned_in: bool = False
    window: tuple = ()          # centre and width; none: the full range
    note: str = ""


FILES = (
    File("nodule-clear", "nodule-clear", ExplicitVRLittleEndian, note="the plain case"),
    File("nodule-clear-implicit", "nodule-clear", ImplicitVRLittleEndian),
    File("nodule-clear-monochrome1", "nodule-clear", ExplicitVRLittleEndian, "MONOCHROME1",
         note="stored inverted: must look and score like nodule-clear"),
    File("two-findings-jpeg-lossless", "two-findings", JPEGLosslessSV1),
    File("nodule-subtle-jpeg-lossless-monochrome1", "nodule-subtle", JPEGLosslessSV1,
         "MONOCHROME1"),
    File("consolidation-jpeg2000", "consolidation", JPEG2000Lossless),
    File("normal-rle", "normal", RLELossless),
    File("low-dose-16-bit", "low-dose", ExplicitVRLittleEndian, bits=16),
    File("normal-burned-in", "normal", ExplicitVRLittleEndian, bits=8, burned_in=True,
         note="the patient's name is in the pixels, and BurnedInAnnotation says so"),
    File("site-c-nodule-window", "site-c-nodule", ExplicitVRLittleEndian, window=(1400, 1800),
         note="a display window narrower than the data: the model's input must not change with it"),
)


def uid(*words):
    """A UUID-derived UID that only depends on its words."""
    return "2.25." + str(int(hashlib.sha256("/".join(words).encode()).hexdigest()[:32], 16))


def burn(grey, text="PHANTOM^ALPHA PHANTOM-0001", scale=1, left=6, top=240):
    """Writes a line into the picture, as some machines do."""
    out = grey.copy()
    for k, letter in enumerate(text):
        for j, row in enumerate(LETTERS[letter]):
            for i in range(4):
                if int(row, 16) >> i & 1:
                    y, x = top + j * scale, left + (k * 6 + i) * scale
                    out[y:y + scale, x:x + scale] = 1.0
    return out


def stored_values(file, grey):
    values = to_bits(burn(grey) if file.burned_in else grey, file.bits)
    return 2 ** file.bits - 1 - values if file.photometric == "MONOCHROME1" else values


def describe(file, values):
    ds = Dataset()
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid(file.name, "instance")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study"), uid("series", file.picture)
    ds.FrameOfReferenceUID = uid("frame", file.picture)
    for key, value in PATIENT.items():
        setattr(ds, key, value)
    for key in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(ds, key, "20240229")
    ds.StudyTime = ds.ContentTime = "120000"
    ds.Modality, ds.Manufacturer = "DX", "SALISCOPE SAMPLES"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.BodyPartExamined, ds.ViewPosition, ds.PatientOrientation = "CHEST", "PA", ["L", "F"]
    ds.ImageLaterality, ds.SeriesNumber, ds.InstanceNumber = "U", "1", "1"
    ds.BurnedInAnnotation = "YES" if file.burned_in else "NO"
    ds.LossyImageCompression = "00"
    ds.ImagerPixelSpacing = ["1.40625", "1.40625"]
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1
    ds.PresentationLUTShape = "INVERSE" if file.photometric == "MONOCHROME1" else "IDENTITY"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    centre, width = file.window or (2 ** (file.bits - 1), 2 ** file.bits)
    ds.WindowCenter, ds.WindowWidth = str(centre), str(width)
    ds.WindowCenterWidthExplanation = "NARROW" if file.window else "FULL"
    private = ds.private_block(0x0029, "PHANTOM PRIVATE", create=True)
    private.add_new(0x01, "LO", "PHANTOM PRIVATE VALUE")

    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, file.photometric
    ds.Rows, ds.Columns = values.shape
    ds.BitsAllocated = 8 if file.bits == 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = file.bits, file.bits - 1, 0
    return ds


def through_gdcm(ds, syntax):
    """The pixel data as GDCM encodes it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = f"{folder}/plain.dcm", f"{folder}/packed.dcm"
        ds.save_as(plain)
        reader = gdcm.ImageReader()
        reader.SetFileName(plain)
        reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise SystemExit(f"GDCM does not encode {syntax}")
        writer = gdcm.ImageWriter()
        writer.SetFileName(packed)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        return list(generate_frames(pydicom.dcmread(packed).PixelData, number_of_frames=1))


def write(file, grey, path):
    values = stored_values(file, grey)
    ds = describe(file, values)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = uid("saliscope samples")
    ds.file_meta.ImplementationVersionName = "SALISCOPE"
    plain = ImplicitVRLittleEndian if file.syntax == ImplicitVRLittleEndian \
        else ExplicitVRLittleEndian
    ds.file_meta.TransferSyntaxUID = plain
    ds.PixelData = values.astype("<u2" if file.bits > 8 else "u1").tobytes()
    ds["PixelData"].VR = "OB" if file.bits == 8 else "OW"
    if file.syntax in (RLELossless, JPEG2000Lossless):
        ds.compress(file.syntax, generate_instance_uid=False)
    elif file.syntax != plain:
        frames = through_gdcm(ds, file.syntax)
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
        ds.file_meta.TransferSyntaxUID = file.syntax
    ds.save_as(path, enforce_file_format=True)
    return values


# ---- reading back -------------------------------------------------------------------

def by_pydicom(path):
    return pydicom.dcmread(path).pixel_array


def by_gdcm(path):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        return None
    image = reader.GetImage()
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    kind = "<u2" if image.GetPixelFormat().GetBitsAllocated() == 16 else "u1"
    return np.frombuffer(data, kind).reshape(image.GetDimension(1), image.GetDimension(0))


def by_dcmtk(path):
    """DCMTK's own decoders; it has none for JPEG 2000."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    tool = {JPEGLosslessSV1: "dcmdjpeg", RLELossless: "dcmdrle",
            JPEG2000Lossless: None}.get(syntax, "dcmconv")
    if not tool or not shutil.which(tool):
        return None
    with tempfile.NamedTemporaryFile(suffix=".dcm") as out:
        subprocess.run([tool, "+te", str(path), out.name], check=True)
        ds = pydicom.dcmread(out.name)
        kind = "<u2" if ds.BitsAllocated == 16 else "u1"
        return np.frombuffer(ds.PixelData, kind).reshape(ds.Rows, ds.Columns)


DECODERS = {"pydicom": by_pydicom, "GDCM": by_gdcm, "DCMTK": by_dcmtk}


def check(path, values):
    """Names of the decoders that gave the exact values; another result is an error."""
    agreed = []
    for name, decode in DECODERS.items():
        found = decode(path)
        if found is None:
            continue
        if not np.array_equal(found, values):
            raise SystemExit(f"{path.name}: {name} decodes other values than were stored")
        agreed.append(name)
    return agreed


def write_all(folder, grey_of):
    """All files, and for each what a decoder must give."""
    folder.mkdir(exist_ok=True)
    said = []
    for file in FILES:
        path = folder / f"{file.name}.dcm"
        values = write(file, grey_of(file.picture), path)
        said.append({
            "file": f"dicom/{path.name}", "picture": f"images/{file.picture}.png",
            "transfer_syntax": str(file.syntax), "photometric": file.photometric,
            "bits": file.bits, "burned_in": file.burned_in,
            "values_sha256": hashlib.sha256(values.astype("<u2").tobytes()).hexdigest(),
            "decoded_exactly_by": check(path, values)})
    return said
