"""Which names a file defines, uses and imports, through tree-sitter: Python, JavaScript and Go.

`names.py` answers for one file; `items.py` asks questions whose answer stands in another file,
`changes.py` questions whose answer changes with an edit; `gold.py` says which files a change needs.
"""
