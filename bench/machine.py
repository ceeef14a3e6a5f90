"""The machine that a figure was measured on: without it, the figure says nothing."""

import os
import platform
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Machine(BaseModel):
    """Where and how busy."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    processor: str
    processors: int
    memory_gib: float
    system: str
    python: str
    load_before: float  # one-minute average before the first case: above half a processor, distrust the figures


def this_machine() -> Machine:
    """Describe the machine that this runs on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        processors=len(os.sched_getaffinity(0)),
        memory_gib=round(pages / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        load_before=round(os.getloadavg()[0], 2),
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
