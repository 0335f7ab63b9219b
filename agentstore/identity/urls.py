from django.urls import path

from agentstore.identity import token_views, views

app_name = "identity"
urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("organizations/", views.organizations, name="organizations"),
    path("organizations/new/", views.create_organization, name="create_organization"),
    path("organizations/<slug:slug>/", views.organization, name="organization"),
    path("organizations/<slug:slug>/members/<uuid:member>/role/", views.change_role, name="change_role"),
    path(
        "organizations/<slug:slug>/members/<uuid:member>/remove/", views.remove_member, name="remove_member"
    ),
    path(
        "organizations/<slug:slug>/invitations/<uuid:invitation>/withdraw/",
        views.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("organizations/<slug:slug>/tokens/", token_views.tokens, name="tokens"),
    path("organizations/<slug:slug>/tokens/<uuid:token>/revoke/", token_views.revoke, name="revoke_token"),
    path("invitations/<uuid:invitation>/", views.answer_invitation, name="answer_invitation"),
]
