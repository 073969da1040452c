"""Questions of operators about the rules in force, answered from the live state without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_gateway.rules.inspection.in_force import describe_in_force

if TYPE_CHECKING:
    from edge_gateway.fold.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class RuleQuestions:
    """Answers from the rules of the fold, as they are between two inputs."""

    pipeline: Pipeline

    def in_force(self) -> list[dict[str, Any]]:
        """Describe the rules in force."""
        return describe_in_force(self.pipeline.rules)
