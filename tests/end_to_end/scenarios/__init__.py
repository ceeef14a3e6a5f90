"""The scenarios of one rotation, each an English sentence that must hold, and what makes it so."""

from tests.end_to_end.scenario_run import Scenario
from tests.end_to_end.scenarios import deciding, preflight, retiring, soaking, starting, sweeping

SCENARIOS: dict[str, Scenario] = {
    **starting.SCENARIOS,
    **preflight.SCENARIOS,
    **sweeping.SCENARIOS,
    **soaking.SCENARIOS,
    **deciding.SCENARIOS,
    **retiring.SCENARIOS,
}
