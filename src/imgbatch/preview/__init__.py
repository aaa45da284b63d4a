"""See an adjustment before it is applied to a folder: a page on loopback, or a contact sheet.

::

    process     what is asked of the process that decodes, and how it is started and replaced
    renderer    that process: photographs decoded once, kept, for the screen and in full
    rendering   pixels → adjusted, upright, 8-bit → JPEG for a browser, and a histogram
    server      the page's files and pictures over HTTP, for this machine only
    sheet       variants side by side in one picture
    command     the imgbatch-client line that does the same to the files
    page/       HTML, CSS and JavaScript as they are served
"""
