"""`team`: a planner, specialists, and the plan that they do."""
