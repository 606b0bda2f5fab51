"""Asks a policy about a cell before it runs: the rules first, then whoever reviews it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from kernel_exec import outcome
from kernel_exec.callbacks import called
from kernel_exec.execution import Execution
from kernel_exec.outcome import Verdict
from kernel_exec.policy import Answer, Decision, Judge, Policy, Proposal
from kernel_exec.settings import checked_text


@dataclass(slots=True)
class Judgement:
    """What was asked and decided about a cell.

    Attributes:
        code: what is to run.
        denied: why it is not run; "" when it is.
        facts: for the recording: each step that was more than an approval without a word.
    """

    code: str
    denied: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


async def permitted(policy: Policy, execution: Execution) -> Verdict | None:
    """Ask about a call, which may get other code by that; return the verdict when it is not run, None when it is."""
    proposal = Proposal(execution.code, execution.filename, execution.attempt)
    with execution.paused():
        judgement = await judged(policy, proposal, execution.stop.wanted)
    execution.code, execution.judged = judgement.code, judgement.facts
    if execution.stop.wanted.done():
        return outcome.never_ran(execution.stop, "was being reviewed")
    return outcome.denied(judgement.denied) if judgement.denied else None


async def judged(policy: Policy, proposal: Proposal, stop: asyncio.Future[None]) -> Judgement:
    """Ask about a cell. What raises, and what does not answer in time, denies it.

    Args:
        policy: whom to ask.
        proposal: the cell.
        stop: done when nobody wants the cell any more; then the answer does not matter.
    """
    judgement = Judgement(proposal.code)
    reasons = await _ruled(policy, proposal, stop, judgement)
    if judgement.denied or stop.done() or (policy.review is None and not reasons):
        return judgement
    if policy.review is None:
        judgement.denied = f"a rule asks for a review, and nobody reviews: {'; '.join(reasons)}"
        return judgement
    asked = replace(proposal, reasons=reasons)
    decision = await _asked("the review", policy.review, asked, stop, policy.review_timeout)
    if stop.done():
        judgement.facts = {"review": "cancelled"}
        return judgement
    judgement.facts = {"review": decision.action, **({"reason": decision.reason} if decision.reason else {})}
    if reasons:
        judgement.facts["asked"] = list(reasons)
    if decision.action == "edit":
        judgement.facts["proposed"] = proposal.code
        judgement.code = decision.code
        await _ruled(policy, replace(proposal, code=decision.code), stop, judgement)
    elif decision.action != "allow":
        judgement.denied = f"the review says no: {decision.reason}"
    return judgement


async def _ruled(
    policy: Policy, proposal: Proposal, stop: asyncio.Future[None], judgement: Judgement
) -> tuple[str, ...]:
    """Ask the rules; return why they ask for a review."""
    judgement.denied = policy.denied(proposal.code)
    reasons = []
    for rule in () if judgement.denied else policy.rules:
        decision = await _asked(_name(rule), rule, proposal, stop, None)
        if decision.action == "ask":
            reasons.append(decision.reason)
        elif decision.action == "edit":
            judgement.denied = f"{_name(rule)} wants to edit it, which only the review may"
        elif decision.action == "deny":
            judgement.denied = decision.reason or f"{_name(rule)} rejects it"
        if judgement.denied:
            break
    return tuple(reasons)


async def _asked(
    who: str, judge: Judge, proposal: Proposal, stop: asyncio.Future[None], timeout: float | None
) -> Decision:
    asking = asyncio.ensure_future(called(judge, proposal))
    try:
        await asyncio.wait((asking, stop), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return Decision.deny(f"{who} has not answered" + (f" within {timeout:g} s" if timeout else ""))
        if asking.cancelled():
            return Decision.deny(f"{who} was cancelled")
        return _decision(who, asking.result())
    except Exception as error:
        return Decision.deny(f"{who} failed: {type(error).__name__}: {error}")
    finally:
        asking.cancel()


def _decision(who: str, answer: Answer) -> Decision:
    if isinstance(answer, Decision):
        if answer.action == "edit":
            checked_text("the code that a review has edited", answer.code)
        return answer
    if answer is None or answer is True:
        return Decision.allow()
    if answer is False:
        return Decision.deny(f"{who} rejects it")
    if isinstance(answer, str):
        return Decision.deny(answer)
    return Decision.deny(f"{who} answered with {type(answer).__name__}, which is no decision")


def _name(rule: Judge) -> str:
    return f"the rule {getattr(rule, '__name__', type(rule).__name__)!r}"
