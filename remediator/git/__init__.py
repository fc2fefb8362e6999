"""The door to git: a work tree that the policy lists, read and saved without its own configuration being followed.

Git runs over a scratch folder of ours whose configuration we wrote: hooks, filters, aliases, file system monitors and
whatever else a repository may name to be run are not there to be found. Of the repository it sees the objects, the
references and a copy of the index.
"""

from remediator.git.changes import Change, changes_of
from remediator.git.content import Content, Unfit, read_content
from remediator.git.opened import OpenTree, Reference, open_tree
from remediator.git.place import under_way

__all__ = [
    "Change",
    "Content",
    "OpenTree",
    "Reference",
    "Unfit",
    "changes_of",
    "open_tree",
    "read_content",
    "under_way",
]
