"""Encoded images to arrays and back, with all that belongs to a photograph but its pixels.

::

    recognise     which format bytes are of
    inspect       the reader of each format: size and structure, no pixels
    encode        the writer of each format
    picture       the values that pass between readers, pipeline and writers
    limits        how many pixels and bytes an image may have
    notes         stable words for what an output could not keep
    metadata      EXIF, XMP, ICC and resolution, moved from one format to another
    buffers       memory that a worker keeps from image to image
    jpeg_*        markers and tables · jpeg    decoding and encoding
    png_*         chunks, row filters · png    decoding and encoding
    tiff_*        directories · tiff           decoding and encoding
    webp_*        RIFF chunks · webp           decoding and encoding
    bmp           all of it
    cmyk          ink to light
    quiet         keeps C libraries off the terminal

A reader checks a file's structure before any decoder sees it, and raises nothing but the
`ImageError` subclasses of `imgbatch.errors`, whatever the bytes.
"""
