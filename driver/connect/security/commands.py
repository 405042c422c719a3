"""`voltray token`: making tokens."""

from __future__ import annotations

import json

import click

from voltray.driver.connect.security.tokens import digest_of, new_token


@click.group()
def token() -> None:
    """Make tokens for users (docs/security.md)."""


@token.command()
@click.option("--user", required=True, help="The user whom the token stands for.")
@click.option("--group", "groups", multiple=True, help="A group of the user's; may be given several times.")
@click.option("--may-mint", is_flag=True, help="Let the token's holder mint short-lived tokens for others.")
def new(user: str, groups: tuple[str, ...], may_mint: bool) -> None:
    """Print a new token, and the lines for the tokens file, which hold its digest alone."""
    made = new_token()
    click.echo(f"# The token, for the user alone: {made}", err=True)
    lines = ["[[tokens]]", f'sha256 = "{digest_of(made)}"', f"user = {json.dumps(user)}"]
    lines += [f"groups = {json.dumps(list(groups))}"] if groups else []
    lines += ["may_mint = true"] if may_mint else []
    click.echo("\n".join(lines))
