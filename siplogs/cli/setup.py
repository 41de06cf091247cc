"""`siplogs setup`: prepares Elasticsearch and Kibana for what `siplogs ship` sends."""

from typing import Annotated

import typer

from siplogs import config
from siplogs.cli.options import Configuration
from siplogs.errors import ConfigError


def setup(
    elasticsearch: Annotated[
        str | None, typer.Option("--elasticsearch", metavar="URL", help="Elasticsearch to prepare.")
    ] = None,
    kibana: Annotated[
        str | None, typer.Option("--kibana", metavar="URL", help="Kibana to import the views into.")
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", metavar="ID", help="Kibana space of the views (default: default).")
    ] = None,
    configuration: Configuration = None,
) -> None:
    """Prepare Elasticsearch (mapping, templates, lifecycle policy) and Kibana (data view, searches); repeatable.

    Shards, replicas, period and retention that are not set stay as an earlier setup made them. Credentials come from
    the settings or the environment (SIPLOGS_ELASTICSEARCH_API_KEY and so on).

    Example: siplogs setup --elasticsearch https://es.example.com:9200
    """
    overrides = {"elasticsearch": {"url": elasticsearch}, "kibana": {"url": kibana, "space": space}}
    settings = config.load(configuration, overrides)
    for warning in settings.warnings:
        typer.echo(warning, err=True)
    if not settings.elasticsearch.url and not settings.kibana.url:
        raise ConfigError("nothing to set up: give --elasticsearch URL, --kibana URL, or both")
    if settings.elasticsearch.url and (elasticsearch or not kibana):
        from siplogs.outputs.elasticsearch import connect
        from siplogs.shipping import templates

        keys = config.origins(configuration, overrides)
        given = {str(key[-1]) for key in keys if key[0] == "elasticsearch"}
        for line in templates.install(connect(settings.elasticsearch), given):
            typer.echo(line)
    if settings.kibana.url and (kibana or not elasticsearch):
        from siplogs.shipping import kibana as views

        for line in views.install(settings):
            typer.echo(line)
