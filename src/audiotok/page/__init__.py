"""HTML pages that contain their data and their program, and need no network: the frame that they share.

assembly    puts a page together
style.css   colours for light and dark, tables, plots
shared.js   elements, captions, plots by plotly, and what is packed in the page
"""
