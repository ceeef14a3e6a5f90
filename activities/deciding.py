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
from keyturn.rotation.unexplained import look_again
from keyturn.runs import commands, decisions

bp = df.Blueprint()


@activity(bp, FreezeInput)
async def freeze_evidence(request: FreezeInput, resources: Resources) -> FreezeResult:
    """Look at the rows once more, freeze the evidence and return its digest."""
    runs, now = resources.run_store, datetime.now(UTC)
    record = await runs.read(request.run.run_id)
    planted = await look_again(resources.keyring(request.run.keyring).rows, record)
    return await evidence.freeze_evidence(runs, request, now, planted)


@activity(bp, DecisionInput)
async def read_decision(request: DecisionInput, resources: Resources) -> DecisionResult:
    """Read what was decided on exactly this evidence."""
    return await decisions.read_decision(resources.every_run, request)


@activity(bp, CommandInput)
async def read_command(request: CommandInput, resources: Resources) -> CommandResult:
    """Read what an operator asked for since the last look."""
    return await commands.read_command(resources.every_run, request)
