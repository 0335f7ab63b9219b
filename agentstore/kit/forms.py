"""How `{{ form }}` is drawn on every page: templates/components/form.html and field.html."""

from __future__ import annotations

from django.forms.renderers import TemplatesSetting


class StoreFormRenderer(TemplatesSetting):
    """Labels, help and errors tied by aria-describedby; the style sheet gives widgets their looks."""

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"
