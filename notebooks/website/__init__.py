"""The site: the story, all notebooks, the claims, the course and the API, as pages.

    python notebooks/website [FOLDER]      writes FOLDER/html, by default in build/site

Everything is read where it is: notebooks, claims, records, README and docstrings. A
page is text that a function returns, so that tests need no Sphinx:

readme.py    parts of the README, so that site and README cannot disagree
links.py     links of the repository, turned into links of the site
story.py     front page, reading order, words, guide
ledger.py    scorecard and claims with their verdicts, from the committed records
modules.py   one page per public module, one per notebook's experiments
course.py    exercises, solutions, capstone
notebooks.py the notebooks, each with links to its claims and functions
docstrings.py  plain text of docstrings, as Sphinx wants it
stage.py     all of these in one folder, as Sphinx wants to read them
build.py     the command; conf.py, static/: Sphinx's settings, the look
offline.py   what a built page would fetch from another host: nothing
"""
