"""Activities on decisions and commands: freeze the evidence, read a decision, read a command."""

from datetime import UTC, datetime

import azure.durable_functions as df

from activities.boundary import activity
from keyturn.contracts.steps import (
    CommandInput,
    CommandResult,
    DecisionInput,
    DecisionResult,
    FreezeInput,
    FreezeResult,
)
from keyturn.resources import Resources
from keyturn.rotation import evidence
from keyturn.runs import commands, decisions

bp = df.Blueprint()


@activity(bp, FreezeInput)
async def freeze_evidence(request: FreezeInput, resources: Resources) -> FreezeResult:
    """Freeze the evidence and return its digest."""
    return await evidence.freeze_evidence(resources.run_store, request, datetime.now(UTC))


@activity(bp, DecisionInput)
async def read_decision(request: DecisionInput, resources: Resources) -> DecisionResult:
    """Read what was decided on exactly this evidence."""
    return await decisions.read_decision(resources.every_run, request)


@activity(bp, CommandInput)
async def read_command(request: CommandInput, resources: Resources) -> CommandResult:
    """Read what an operator asked for since the last look."""
    return await commands.read_command(resources.every_run, request)
