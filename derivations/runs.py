"""Runs many claims, two at a time, and keeps of each what tables and pages need."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import derivations
from derivations import html, mathml
from derivations.outcome import Outcome, in_digits, in_line
from derivations.prose import Says
from derivations.verification import Verification, verify

# Simplification can run away: a claim that takes longer has failed. The slowest takes a few seconds.
_LIMIT_SECONDS = 120


def run(names: Sequence[str], *, pages: bool, done: Callable[[], None], workers: int = 2) -> list[Outcome]:
    """Verifies claims in processes of their own; the outcomes are in the order of ``names``.

    Args:
        names: of claims.
        pages: whether to render their pages.
        done: called after each.
        workers: processes.
    """
    outcomes: dict[str, Outcome] = {}
    workers = max(1, min(workers, len(names), os.cpu_count() or 1))
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        jobs = {pool.submit(run_one, name, pages): name for name in names}
        for job in as_completed(jobs):
            outcomes[jobs[job]] = job.result()
            done()
    finally:
        pool.shutdown(cancel_futures=True)
    return [outcomes[name] for name in names]


def run_one(name: str, page: bool) -> Outcome:
    """Verifies one claim; an exception in it is a failed check."""
    claim = derivations.claim(name)
    try:
        with _time_limit():
            verification, failure = verify(claim), ""
    except Exception as error:  # whatever a claim's own code raises is its failure, and the others go on
        verification, failure = Verification(name, (), (), (), 0.0), f"{type(error).__name__}: {error}"
    example = claim.example
    return Outcome(
        name=name,
        title=claim.title,
        sources=tuple(map(str, claim.sources)),
        anchors=tuple(s.anchor for s in claim.sources if s.equation),
        verdict=str(claim.verdict),
        order=claim.order,
        summary=claim.summary,
        printed=in_line(claim.printed),
        corrected="" if claim.corrected is None else in_line(claim.corrected),
        assumptions=tuple(a.words for a in claim.assumptions),
        example=example and (example.words, in_digits(example.printed), in_digits(example.right)),
        exact=verification.exact,
        independent=verification.independent,
        caught=verification.caught,
        failure=failure or _failures(verification),
        seconds=verification.seconds,
        printed_mathml=mathml.inline(claim.printed) if page else "",
        corrected_mathml=mathml.inline(claim.corrected) if page and claim.corrected is not None else "",
        page=html.claim_body(claim, verification) if page else "",
    )


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raises TimeoutError in the main thread of a process, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(signum, frame):
        raise TimeoutError(f"took longer than {_LIMIT_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _failures(verification: Verification) -> str:
    """What doesn't hold, in one line."""
    steps = [f"step {k}" for k, s in enumerate(verification.steps, 1) if not s.holds]
    comparisons = [f"comparison {k}" for k, c in enumerate(verification.comparisons, 1) if not c.holds]
    says = [f"“{c.comparison.says}”" for c in verification.says if not c.holds and isinstance(c.comparison, Says)]
    numbers = [
        f"the check violates “{a.assumption.words}”: {a.violation}" for a in verification.assumptions if not a.holds
    ]
    numbers += [verification.outside] if verification.outside else []
    slips = [f"slip “{s.words}” {s.outcome}" for s in verification.slips if not s.caught]
    return ", ".join(steps + comparisons + says + numbers + slips)
