"""The worker inside the container. Standard library only, Python 3.9 and later; never imported by evalkit itself."""

# Every import is paid by every program. So types are imported for mypy alone, below a `TYPE_CHECKING = False` of the
# module's own: mypy takes that name for true, whatever it is. Annotations are never evaluated.
