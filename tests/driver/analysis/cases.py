"""DataFrames and queries whose schemas (or errors) are recorded from real Spark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyspark.sql import Window as W
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.types import LongType, StringType, StructField, StructType

from tests.driver.analysis.support import schema, sql

Frames = tuple[DataFrame, DataFrame]
Case = Callable[[DataFrame, DataFrame], DataFrame]
c = F.col

PEOPLE = """SELECT * FROM VALUES (1L, 'Alice', 1.5D, array(1, 2), map('k', 1), named_struct('x', 1, 'y', 'a'),
    DATE'2020-01-01'), (CAST(NULL AS BIGINT), NULL, NULL, NULL, NULL, NULL, NULL) AS people(id, name, x, a, m, s, d)"""
OTHERS = "SELECT * FROM VALUES (1L, 10), (2L, CAST(NULL AS INT)) AS others(id, v)"


def frames(session: Any) -> Frames:
    """The two DataFrames that cases are made of."""
    found = sql(session, PEOPLE), sql(session, OTHERS)
    for frame in found:  # attribute access asks for the schema; without a server it must be known
        frame._cached_schema = schema(frame)
    return found


WANTED = StructType([StructField("v", LongType()), StructField("missing", StringType()), StructField("id", LongType())])

EXPRESSIONS = (
    "id + 1", "id - 1", "id * 2", "id / 2", "id % 2", "id div 2", "-id", "~id", "1.5 + 2", "1.5 * 2.25",
    "1.5 / 3", "x + 1", "x + 1.5", "id + 1.5", "id = 1", "id <> 1", "id <=> null", "id in (1, 2)", "id not in (1)",
    "name like 'a%'", "name not like 'a'", "id is null", "name is not null", "not id = 1", "id > 1 and x < 2 or x = 1",
    "id between 1 and 2", "cast(id as string)", "cast(id as int) + 1", "try_cast(name as int)", "cast('1' as int)",
    "case when id > 1 then 'a' else 'b' end", "case id when 1 then 2 end", "if(id > 1, 1, 2.5)", "coalesce(id, 1)",
    "nvl(name, 'x')", "nullif(id, 1)", "s.x", "s.x + 1", "a[0]", "a[id]", "m['k']", "m.k", "s.q", "q", "id.x",
    "a['q']", "m[1]", "struct(id, id + 1, name as n)", "named_struct('a', id, 'b', name)", "array(id, 1)",
    "map('a', id)", "null", "true", "'text'", "1", "1L", "1.5", "1.5D", "1e3", "X'61'", "DATE '2020-01-02'",
    "TIMESTAMP '2020-01-02 03:04:05.6'", "INTERVAL 1 DAY", "INTERVAL 5 HOUR", "INTERVAL '1-2' YEAR TO MONTH",
    "d + 1", "1 + d", "d - 1", "d + INTERVAL 1 DAY", "d - INTERVAL 1 DAY", "d + INTERVAL 1 MONTH", "d + INTERVAL 1 HOUR",
    "d - DATE '2019-01-01'", "d - '2019-01-01'", "INTERVAL 2 DAY * 3", "INTERVAL 2 DAY / 3", "- INTERVAL 1 DAY",
    "name + 1", "name = 1", "name > x", "id + 'a'", "id = true", "a + 1", "a = m", "m = m", "name || 'x'",
    "filter(a, v -> v > 1)", "zip_with(a, a, (v, w) -> v + w)", "exists(a, v -> v > 1)",
    "count(*)", "count(id)", "count(distinct id)", "count(distinct id, name)", "sum(id)", "sum(x)", "avg(id)",
    "max(struct(id, name))", "sum(id) filter (where x > 1)", "first(id)", "collect_list(id)", "sum(distinct id)",
    "sum(sum(id))", "id, sum(id)", "sum(name)", "sum(a)", "min(id) + max(id)",
    "row_number() over (partition by name order by id)", "sum(id) over (partition by name)",
    "sum(id) over (order by id rows between 1 preceding and 1 following)", "rank() over (order by id desc)",
    "lag(id) over (order by id)", "lead(id, 2, 0L) over (order by id)", "sum(id) over (order by id)",
    "row_number()", "row_number() over ()", "explode(a)", "explode(m)", "posexplode(a)", "explode(a) as v",
    "explode(m) as (k, v)", "explode(a) + 1", "id, explode(a)", "id as b, b + 1", "1 as p, p + 1 as q, q * 2",
    "1 as p, 2 as p, p + 1", "*", "people.*", "* except (id)", "s.*", "others.*", "upper(name)", "upper(distinct name)",
    "nothing(1)", "upper(id)", "upper(a)", "upper()", "grouping(id)", "(select max(v) from values (1) u(v))",
    "(select max(v) from values (1L) u(v) where v = id)", "exists (select 1)", "id in (select 1L)",
    "(select 1, 2)", "id in (select 1, 2)", "current_date", "current_timestamp()",
)  # fmt: skip

QUERIES = (
    "select id, count(*) from people group by id", "select id + 1, sum(x) from people group by id + 1",
    "select id from people group by name", "select id k from people group by k", "select count(*) from people group by 2",
    "select id, count(*) from people group by all", "select sum(id) total from people having total > 1",
    "select sum(id) from people having id > 1", "select name, max(id) from people group by name order by max(x)",
    "select name from people group by name order by id", "select id from people order by 2", "select id from people order by 1",
    "select id from people order by max(id)", "select name from people order by x", "select * from people order by all",
    "select distinct name from people order by x", "select id from people where sum(id) > 1",
    "select id from people where row_number() over (order by id) > 1", "select id from people where id",
    "select id from people limit -1", "select id from people limit id", "select id from people limit 1.5",
    "select grouping(id), grouping_id(), id, sum(x) from people group by rollup(id)",
    "select id, name, count(*) from people group by cube(id, name)",
    "select id, name, count(*) from people group by grouping sets ((id), (name), ())",
    "select grouping(id) from people group by id", "select * from people p join others o on p.id = o.id",
    "select * from people p left join others o using (id)", "select * from people p full join others o using (id)",
    "select p.id, o.id, id from people p join others o using (id)", "select id from people p join others o on p.id = o.id",
    "select * from people natural join others", "select * from people p join others o on 1",
    "select * from people p join others o using (q)", "select * from people p left semi join others o on p.id = o.id",
    "select * from people p, lateral (select p.id + 1 as n)", "select id from others union all select v from others",
    "select id from others union select 'a'", "select id, v from others union select id from others",
    "select id from others union select a from people", "select id from people intersect select id from others",
    "select m from people except select m from people", "select id from people except all select v from others",
    "with q as (select id k from people) select k + 1 from q", "with q(z) as (select id from people) select z from q",
    "select * from (select id from people) t(a, b)", "select t.a from values (1, 'x') t(a, b)",
    "select * from range(5)", "select * from range(1, 5, 2)", "select * from explode(array(1, 2))",
    "select name, e from people lateral view explode(a) t as e", "select name, e from people lateral view outer explode(a) as e",
    "select max(id) over w from people window w as (partition by name)", "select a.q from people a",
    "select stack(2, 1, 2, 3, 4)", "select id from people where id in (select v from others)",
    "select id, (select max(v) from others o where o.id = p.id) from people p",
)  # fmt: skip


RELATIONS: dict[str, Case] = {
    "group by column": lambda p, o: p.groupBy("name").agg(F.sum("id"), F.max("x").alias("m")),
    "group by alias": lambda p, o: p.groupBy((c("id") + 1).alias("k")).agg(F.sum("x") + 1),
    "group by, other column": lambda p, o: p.groupBy("id").agg(c("name")),
    "group by aggregate": lambda p, o: p.groupBy(F.sum("id")).count(),
    "aggregate beside a column": lambda p, o: p.select(F.sum("id"), "id"),
    "rollup": lambda p, o: p.rollup("name", "id").agg(F.grouping("name"), F.grouping_id(), F.sum("x")),
    "pivot": lambda p, o: p.groupBy("name").pivot("id", [1, 2]).agg(F.sum("x").alias("a"), F.count("x")),
    "pivot of one": lambda p, o: p.groupBy("name").pivot("id", [1, 2]).agg(F.sum("x")),
    "order by a new aggregate": lambda p, o: p.groupBy("name").agg(F.max("id")).orderBy(F.max("x")),
    "join using": lambda p, o: p.join(o, "id"),
    "join using, right key": lambda p, o: p.join(o, "id").select(o.id),
    "join on": lambda p, o: p.join(o, p.id == o.id, "left").select(p.id, o.id, "v"),
    "join on, plain name": lambda p, o: p.join(o, p.id == o.id).select("id"),
    "join full using": lambda p, o: p.join(o, ["id"], "full"),
    "semi join": lambda p, o: p.join(o, "id", "left_semi"),
    "join condition not boolean": lambda p, o: p.join(o, c("v")),
    "self join": lambda p, o: p.join(p, p.id == p.id),
    "self join by aliases": lambda p, o: p.alias("a").join(p.alias("b"), c("a.id") == c("b.id")).select("a.id", "b.x"),
    "join with a derived one": lambda p, o: p.join(p.filter("id > 1"), p.id == p.id),
    "select beyond a join with a derived one": lambda p, o: p.join(p.filter("id > 1"), "id").select(p.id),
    "column of another DataFrame": lambda p, o: p.select(o.id),
    "column that is gone": lambda p, o: p.select((p.id + 1).alias("z")).select(p.id),
    "filter by a column that is gone": lambda p, o: p.select((p.id + 1).alias("z")).filter(p.id > 1),
    "sort by a column that is gone": lambda p, o: p.select("name").orderBy("x"),
    "filters by columns that are gone": lambda p, o: p.select("name").filter(c("x") > 1).filter(c("id") > 1),
    "column of a union's part": lambda p, o: o.union(o).select(o.id),
    "replaced column": lambda p, o: p.withColumn("id", c("id") + 1).select(p.id),
    "with column": lambda p, o: p.withColumn("ID", c("id") * 2).withColumn("n", c("ID") + 1),
    "with column twice": lambda p, o: p.withColumns({"b": c("id"), "B": c("x")}),
    "renamed": lambda p, o: p.withColumnRenamed("id", "k").withColumnRenamed("nothing", "z"),
    "drop": lambda p, o: p.drop("id", "nothing").drop(c("x")),
    "drop by DataFrame": lambda p, o: p.join(o, p.id == o.id).drop(o.id),
    "toDF": lambda p, o: o.toDF("a", "b"),
    "toDF of too few": lambda p, o: o.toDF("a"),
    "qualified": lambda p, o: o.alias("t").select("t.id", "t.*"),
    "regular expression": lambda p, o: p.select(p.colRegex("`(id|na).*`")),
    "window in a column": lambda p, o: p.withColumn("w", F.sum("id").over(W.partitionBy("name"))),
    "unpivot": lambda p, o: o.unpivot("id", ["v"], "k", "value"),
    "unpivot of unlike types": lambda p, o: p.unpivot("id", ["x", "name"], "k", "value"),
    "fill": lambda p, o: p.select("id", "name", "x").na.fill(0),
    "replace": lambda p, o: p.select("id", "name", "x").na.replace(1, 2),
    "describe": lambda p, o: p.select("id", "name").describe(),
    "union by name": lambda p, o: p.select("id", "x").unionByName(o, allowMissingColumns=True),
    "union by name, unlike": lambda p, o: p.select("id", "x").unionByName(o),
    "union of unlike types": lambda p, o: o.union(o.select(c("id").cast("string"), "v")),
    "intersect": lambda p, o: o.intersect(o),
    "distinct": lambda p, o: p.select("id").distinct(),
    "duplicates by a missing column": lambda p, o: o.dropDuplicates(["zz"]),
    "explode": lambda p, o: p.select("id", F.explode("a").alias("q"), F.posexplode("a")),
    "observe": lambda p, o: o.observe("m", F.count(F.lit(1)).alias("n")),
    "with field": lambda p, o: p.select(c("s").withField("z", F.lit(1)), c("s").dropFields("x")),
    "to schema": lambda p, o: o.to(WANTED),
    "nth value": lambda p, o: p.select(F.nth_value("id", 2).over(W.orderBy("x"))),
    "frames": lambda p, o: p.select(
        F.sum("id").over(W.orderBy("id").rowsBetween(-1, 1)), F.sum("id").over(W.orderBy("id").rangeBetween(-1, 0))
    ),
}  # fmt: skip


def cases(session: Any) -> dict[str, Callable[[], DataFrame]]:
    """Every case by name."""
    people, others = frames(session)
    found: dict[str, Callable[[], DataFrame]] = {}
    for text in EXPRESSIONS:
        found[f"expression {text}"] = lambda text=text: sql(session, f"SELECT {text} FROM ({PEOPLE}) AS people")  # type: ignore[misc]
    tables = f"WITH people AS ({PEOPLE}), others AS ({OTHERS}) "
    for text in QUERIES:
        whole = text.replace("with ", tables + ", ", 1) if text.startswith("with ") else tables + text
        found[f"query {text}"] = lambda whole=whole: sql(session, whole)  # type: ignore[misc]
    for name, case in RELATIONS.items():
        found[f"relation {name}"] = lambda case=case: case(people, others)  # type: ignore[misc]
    return found
