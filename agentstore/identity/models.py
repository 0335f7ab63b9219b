"""People, organizations and the roles that join them."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from agentstore.kit.clock import now
from agentstore.kit.ids import new_id


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; there are no usernames."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user with a normalised address. Raises ValueError without one."""
        if not email:
            raise ValueError("a user needs an e-mail address")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An operator with every permission."""
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in by e-mail. Operators are `is_staff`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_case_insensitive")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        """What pages call this person."""
        return self.name or self.email.split("@")[0]


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """Organizations by kind."""

    def developers(self) -> OrganizationQuerySet:
        """Studios that publish agents."""
        return self.filter(kind=Organization.Kind.DEVELOPER)

    def merchants(self) -> OrganizationQuerySet:
        """Sellers with offers in the catalogue."""
        return self.filter(kind=Organization.Kind.MERCHANT)


class Organization(models.Model):
    """A developer studio or a merchant; has members with roles."""

    class Kind(models.TextChoices):
        DEVELOPER = "developer", "Developer studio"
        MERCHANT = "merchant", "Merchant"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    country = models.CharField(max_length=2, default="US", help_text="ISO 3166-1 alpha-2")
    created_at = models.DateTimeField(default=now)
    members = models.ManyToManyField(User, through="Membership", related_name="organizations")

    objects: ClassVar[models.Manager[Organization]] = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        """How the ledger and other rooms that hold opaque references name this organization."""
        return reference(self.id)


def reference(organization_id: uuid.UUID) -> str:
    """The opaque reference of an organization: `org:<uuid>`."""
    return f"org:{organization_id}"


class Membership(models.Model):
    """A person's role in an organization."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        ADMIN = "admin", "Admin"
        MEMBER = "member", "Member"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="one_membership_each")]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} of {self.organization}"


class MembershipEvent(models.Model):
    """A change to who belongs to an organization: who, when, by whom. Never edited."""

    class Kind(models.TextChoices):
        JOINED = "joined", "joined"
        ROLE_CHANGED = "role_changed", "has a new role"
        LEFT = "left", "left"
        REMOVED = "removed", "was removed"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="membership_events")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="membership_events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    role = models.CharField(max_length=8, choices=Membership.Role.choices)
    by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.user} {self.get_kind_display()} ({self.role})"


class Invitation(models.Model):
    """An offer of membership to an e-mail address; whoever has verified that address may answer it."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=8, choices=Membership.Role.choices, default=Membership.Role.MEMBER)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations_sent")
    created_at = models.DateTimeField(default=now)
    closed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                "organization",
                condition=models.Q(status="pending"),
                name="one_pending_invitation_each",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization} as {self.role}"


class AccessToken(models.Model):
    """What a program shows to act for an organization. The secret itself is not kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=80, help_text="what it is for")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the secret")
    start = models.CharField(max_length=10, help_text="its first characters, to tell it apart")
    issued_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    issued_at = models.DateTimeField(default=now)
    used_at = models.DateTimeField(null=True, blank=True, help_text="to the minute")
    revoked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-issued_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"
