"""The developers' workspace and the operators' side of publishing."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from marketplace.publishing.views import developer, operator, submission

app_name = "publishing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("developer/", developer.studios, name="studios"),
    path("developer/<slug:org>/", developer.workspace, name="workspace"),
    path("developer/<slug:org>/submit/", submission.submit, name="submit"),
    path("developer/<slug:org>/submissions/", developer.submissions, name="submissions"),
    path("developer/<slug:org>/submissions/<uuid:submission>/", submission.submission, name="submission"),
    path(
        "developer/<slug:org>/submissions/<uuid:submission>/progress/",
        submission.progress,
        name="submission_progress",
    ),
    path("developer/<slug:org>/submissions/<uuid:submission>/bill/", submission.bill, name="bill"),
    path("developer/<slug:org>/agents/<slug:agent>/", developer.agent, name="agent"),
    path("developer/<slug:org>/agents/<slug:agent>/roll-back/", developer.roll_back, name="roll_back"),
    path("operator/", operator.home, name="operator"),
    path("operator/review/", operator.review_queue, name="review_queue"),
    path("operator/review/<uuid:submission>/", operator.review, name="review"),
    path("operator/review/<uuid:submission>/bill/", operator.bill, name="review_bill"),
    path("operator/agents/", operator.agents, name="operator_agents"),
    path("operator/agents/<slug:agent>/suspend/", operator.suspend, name="suspend"),
    path("operator/agents/<slug:agent>/reinstate/", operator.reinstate, name="reinstate"),
]
