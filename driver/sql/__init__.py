"""Spark SQL text to unresolved plans."""

from voltray.driver.sql.parser import parse_expression, parse_query, parse_statement
from voltray.driver.sql.schema import parse_column_schema, parse_schema

__all__ = ["parse_column_schema", "parse_expression", "parse_query", "parse_schema", "parse_statement"]
