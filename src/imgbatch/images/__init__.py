"""Encoded images to arrays and back, with all that belongs to a photograph but its pixels.

::

    formats       which format bytes are of, and who reads and writes it
    picture       what readers return (a source, its pixels) and writers do
    metadata      EXIF, XMP, ICC and resolution, moved from one format to another
    limits        how many pixels, and how much memory, an image may have
    notes         stable words for what an output could not keep
    failures      the sentences for what is wrong with an image
    buffers       memory that a worker keeps from image to image
    jpeg, png, tiff, webp, gif, avif, heif, bmp    one folder or file each, with
        container     the structure of a file, checked before a decoder sees it
        decode        read: a source, and its pixels
        encode        write: pixels to a file
        metadata      what stands beside the pixels, kept or moved to other formats
        animation     several pictures, one after the other
    animation, sequence    frames as a viewer shows them; as Pillow writes them
    isobmff, profiles      the boxes of HEIF and AVIF; colours that are said by numbers
    pillow, opencv         decoders of what ours don't read; ink to light
    convert, deflate       pixels for formats that can't hold them; zlib streams
    display       images as a viewer shows them

A reader checks a file's structure before any decoder sees it, and raises nothing but the
`ImageError` subclasses of `imgbatch.errors`, whatever the bytes.
"""
