"""The programs that answer a question, by the names that callers use."""

import dspy

from agents.programs.multihop import MultiHop
from agents.programs.react import React
from agents.programs.single_shot import SingleShot
from agents.programs.team.program import Team

PROGRAMS: dict[str, type[dspy.Module]] = {
    "single_shot": SingleShot,
    "multihop": MultiHop,
    "react": React,
    "team": Team,
}
