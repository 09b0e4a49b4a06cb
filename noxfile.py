"""Tests under every Python that is supported: ``nox`` for all, ``nox -s tests-3.12`` for one.

What stands behind ``--`` goes to pytest: ``nox -s tests-3.14 -- tests/text``.
"""

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests, as ``make test`` runs them."""
    # torch comes first and pinned, so that nothing that depends on it can choose another build.
    session.install("-c", "constraints.txt", "torch")
    session.install("-c", "constraints.txt", "-e", ".[train,test]")
    session.run("python", "-m", "pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session(python=PYTHONS)
def light(session: nox.Session) -> None:
    """What `pip install potstill` gives, without torch: it answers."""
    session.install("-c", "constraints.txt", ".")
    session.run("potstill", "ask", "Who won?", "--context", "Denver won the game.")
