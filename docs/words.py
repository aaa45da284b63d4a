"""What the stable words of reports mean, and what to do: data for the reference."""

from __future__ import annotations

from imgbatch.errors import Code
from imgbatch.images.notes import Note

CODES: dict[str, dict[Code, tuple[str, str]]] = {
    "Skipped files: the run goes on, and its exit status stays 0": {
        Code.NOT_AN_IMAGE: (
            "The content is no image format that imgbatch knows, whatever the name says.",
            "Nothing; `--exclude` keeps such files out of the report.",
        ),
        Code.UNSUPPORTED_FORMAT: (
            "It is an image of a format that imgbatch does not process, such as GIF or HEIC.",
            "Convert it to JPEG, PNG, TIFF, WebP or BMP first.",
        ),
    },
    "Failed images: the others are written; exit status 1": {
        Code.ANIMATED_IMAGE: (
            "The file holds several pictures, and a single one of them is not what you want.",
            "Take out the picture you mean, with a program of your choice, and process that.",
        ),
        Code.TOO_MANY_PIXELS: (
            "The header announces more pixels than allowed, or pixels of so many bytes that they "
            "take as much memory; nothing was decoded.",
            "Raise `--max-pixels`, on the servers if they compute, or leave the file out.",
        ),
        Code.TOO_MANY_BYTES: (
            "The file is larger than allowed; it was not read.",
            "Raise `--max-bytes`, on the servers too if they compute.",
        ),
        Code.OUT_OF_MEMORY: (
            "There was not as much memory as this image needs; its worker went on.",
            "Lower `--procs`, or process the file on a machine with more memory.",
        ),
        Code.EMPTY_FILE: (
            "The file has no bytes; a copy was interrupted, or the disk was full.",
            "Copy it again from its source.",
        ),
        Code.TRUNCATED_IMAGE: (
            "The file ends before its image does.",
            "Copy it again, or use `--damaged salvage` to write what can be decoded.",
        ),
        Code.DAMAGED_IMAGE: (
            "The file contradicts itself.",
            "Copy it again, or use `--damaged salvage` to write what can be decoded.",
        ),
        Code.UNSUPPORTED_IMAGE: (
            "The image is valid, and of a kind that could not be given back as it was.",
            "Convert it with a program that knows the kind; the sentence in the report names it.",
        ),
        Code.UNREADABLE_FILE: (
            "The operating system did not let the file be read.",
            "Mend the permissions or the disk that the sentence names, then `--resume`.",
        ),
        Code.CHANGED_FILE: (
            "The file was changed after the run had begun.",
            "Wait until it is complete, then `--resume`.",
        ),
        Code.OUTPUT_EXISTS: (
            "Somebody put a file of this name into OUTPUT during the run.",
            "Move it away and use `--resume`, or use `--overwrite`.",
        ),
        Code.OUTPUT_UNWRITABLE: (
            "This one result could not be written.",
            "Mend what the sentence names, then `--resume`.",
        ),
        Code.WORKER_CRASHED: (
            "Three workers in turn died over this image, and no other image was with them.",
            "Leave it out; please report it, with the file if you can share it.",
        ),
        Code.IMAGE_TIMEOUT: (
            "The image took longer than allowed, three times.",
            "Raise `--image-timeout`, on the servers if they compute.",
        ),
        Code.INTERNAL_ERROR: (
            "An error of imgbatch itself.",
            "Please report it with the sentence, or the server's log.",
        ),
    },
    "Wrong usage: nothing was begun; exit status 2": {
        Code.BAD_OPTION: (
            "An option, a variable, a settings file or a combination of them has no meaning.",
            "The sentence names it and says what it takes.",
        ),
        Code.FACTOR_OUT_OF_RANGE: (
            "Brightness and contrast go from -100 to 100, sharpness from 0 to 100.",
            "Choose a number within the range; 0 changes nothing.",
        ),
        Code.INPUT_MISSING: (
            "There is no such folder or file.",
            "Check the spelling; a name with spaces needs quotes around it.",
        ),
        Code.SAME_FOLDER: (
            "INPUT and OUTPUT are one folder, and photographs are never replaced.",
            "Choose another OUTPUT.",
        ),
        Code.NAME_COLLISION: (
            "Two files would be written under one name, such as `a.jpg` and `a.png` as JPEG.",
            "Rename one, leave one out with `--exclude`, or keep the formats.",
        ),
        Code.OUTPUTS_EXIST: (
            "OUTPUT already holds files that the run would write.",
            "Use `--resume` to go on, `--overwrite` to replace them, or another OUTPUT.",
        ),
        Code.NOTHING_TO_RESUME: (
            "OUTPUT's journal is missing, damaged, or that of another INPUT.",
            "Leave `--resume` out, or choose another OUTPUT.",
        ),
    },
    "The run could not go on: what was written stays; exit status 3": {
        Code.DISK_FULL: (
            "OUTPUT's disk is full.",
            "Make room, then `--resume`.",
        ),
        Code.OUTPUT_FOLDER_UNWRITABLE: (
            "OUTPUT takes no files: permissions, a read-only or a lost disk.",
            "Mend what the sentence names, then `--resume`.",
        ),
        Code.BROKER_UNREACHABLE: (
            "Nothing answered at the broker's address within `--timeout`.",
            "Start RabbitMQ there, or correct `--broker`; a firewall must let port 5672 through "
            "(5671 with TLS).",
        ),
        Code.BROKER_REFUSED: (
            "The broker answered, and refused: user, password, virtual host or permissions.",
            "Correct `--broker`, or [give the user its permissions](../operations.md).",
        ),
        Code.NO_SERVER: (
            "The broker works, and no server took part within `--timeout`.",
            "Start `imgbatch-server --broker URL` on some machine; `imgbatch-status` shows it.",
        ),
        Code.ENGINE_FAILED: (
            "The processes that compute could not be started, or did not stay.",
            "The sentence says why; memory is the usual reason, and `--procs 1` needs the least.",
        ),
    },
    "Between programs: seen in logs only": {
        Code.MALFORMED_FRAME: (
            "Something arrived that is no frame of imgbatch.",
            "Look for another program that publishes to names that begin with `imgbatch.`.",
        ),
        Code.FRAME_TOO_LARGE: (
            "A frame announces more than the limits allow; nothing was allocated for it.",
            "Look for another program that publishes to names that begin with `imgbatch.`.",
        ),
        Code.VERSION_MISMATCH: (
            "The peer speaks another major version of the protocol.",
            "Install the same imgbatch on all machines.",
        ),
        Code.DAMAGED_PAYLOAD: (
            "Bytes arrived that are not the ones that were sent; they are sent again.",
            "Nothing, if it is rare; if not, look at the network or the memory of a machine.",
        ),
    },
}
"""By heading: what happened, and what to do."""

NOTES: dict[Note, str] = {
    Note.NAME_SAYS_ANOTHER_FORMAT: "The content is of another format than the name; both stayed.",
    Note.ALPHA_FLATTENED: "JPEG knows no transparency; the image was laid on white.",
    Note.DEPTH_REDUCED: "16 bits for each sample became 8, as the output format has no more.",
    Note.CMYK_CONVERTED: "The image was in ink, CMYK; it became sRGB, by its profile.",
    Note.PALETTE_EXPANDED: "The adjusted colours would not fit the palette; the image became RGB.",
    Note.DEPTH_EXPANDED: "1, 2 or 4 bits for each sample became 8.",
    Note.SALVAGED: "The file was damaged; what could be decoded was written.",
    Note.INTERLACE_DROPPED: "The image is no longer interlaced.",
    Note.QUALITY_ESTIMATED: "The source's quality could not be read from it, and was estimated.",
    Note.SUBSAMPLING_CHANGED: "The source's colour subsampling is one that can't be written.",
    Note.ARITHMETIC_CODING_DROPPED: "Huffman coding replaced arithmetic coding.",
    Note.COMPRESSION_CHANGED: "The source's compression is one that can't be written.",
    Note.EXIF_DROPPED: "The output format has no room for the EXIF data.",
    Note.XMP_DROPPED: "The output format has no room for the XMP data.",
    Note.ICC_DROPPED: "The output format has no room for the colour profile.",
    Note.METADATA_DROPPED: "Some metadata has no place in the output format.",
    Note.METADATA_DAMAGED: "Some metadata was damaged, and left out.",
    Note.EMBEDDED_PICTURES_DROPPED: "Further pictures in the file, like previews, were left out.",
    Note.TRAILING_DATA_DROPPED: "Bytes behind the end of the image were left out.",
    Note.PADDING_DROPPED: "Zeros that some cameras write behind the image were left out.",
}
