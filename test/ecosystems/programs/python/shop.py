"""The shop on scylla-driver: `shop.py HOST PORT DATACENTER COPIES` prints what it read as one line of JSON."""

import datetime
import decimal
import ipaddress
import json
import os
import sys
import uuid
from collections import namedtuple

from cassandra import AlreadyExists, ConsistencyLevel, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.protocol import SyntaxException
from cassandra.query import BatchStatement, BatchType, SimpleStatement, ValueSequence

host, port, datacenter, copies = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
KEYSPACE = "shop_python"
Address = namedtuple("Address", ["street", "zip"])

profile = ExecutionProfile(
    load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(datacenter)),
    consistency_level=ConsistencyLevel.LOCAL_QUORUM,
    serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
)
login = os.environ.get("CQL_USERNAME")
auth = PlainTextAuthProvider(login, os.environ["CQL_PASSWORD"]) if login else None
cluster = Cluster([host], port=port, auth_provider=auth, execution_profiles={EXEC_PROFILE_DEFAULT: profile})
session = cluster.connect()
out = {}


def customer(row):
    return row and {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "tags": list(row.tags),
        "phones": dict(row.phones),
        "visits": row.visits,
        "home": {"street": row.home.street, "zip": row.home.zip},
        "uid": str(row.uid),
        "balance": str(row.balance),
        "born": str(row.born),
        "at": row.at.isoformat(timespec="milliseconds") + "Z",
        "photo": row.photo.hex(),
        "big": str(row.big),
        "ok": row.ok,
        "score": row.score,
        "pos": list(row.pos),
        "ip": str(row.ip),
    }


# The schema
session.execute(
    f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {copies}}}"
)
session.set_keyspace(KEYSPACE)
session.execute("CREATE TYPE address (street text, zip int)")
session.execute(
    """CREATE TABLE customer (
        id int PRIMARY KEY, name text, email text, tags set<text>, phones map<text, text>, visits list<int>,
        home frozen<address>, uid uuid, balance decimal, born date, at timestamp, photo blob, big varint, ok boolean,
        score double, pos frozen<tuple<int, text>>, ip inet)"""
)
session.execute(
    """CREATE TABLE event (source text, day int, seq int, note text static, payload text, PRIMARY KEY ((source, day), seq))
        WITH CLUSTERING ORDER BY (seq DESC)"""
)
session.execute("CREATE TABLE hits (page text PRIMARY KEY, n counter)")
session.execute("CREATE INDEX customer_email ON customer (email)")
cluster.register_user_type(KEYSPACE, "address", Address)

# A row by literals, a row by a prepared statement
session.execute(
    """INSERT INTO customer (id, name, email, tags, phones, visits, home, uid, balance, born, at, photo, big, ok, score, pos, ip)
        VALUES (1, 'Bo', 'bo@example.com', {'y', 'x'}, {'home': '11'}, [2, 1], {street: 'Side 2', zip: 54321},
        00000000-0000-4000-8000-000000000001, -0.001, '1970-01-01', '1969-12-31T23:59:59.999Z', 0xCAFE, -1, false, -2.25,
        (1, 'one'), '::1')"""
)
insert = session.prepare(
    """INSERT INTO customer (id, name, email, tags, phones, visits, home, uid, balance, born, at, photo, big, ok, score, pos, ip)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
)
session.execute(
    insert,
    (
        2,
        "Åsa",
        "asa@example.com",
        {"b", "a"},
        {"work": "2", "home": "1"},
        [3, 1, 2],
        Address("Main 1", 12345),
        uuid.UUID("123e4567-e89b-42d3-a456-426614174000"),
        decimal.Decimal("12.50"),
        datetime.date(1990, 5, 17),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789000),
        b"\x00\xff\x10",
        2**80,
        True,
        0.5,
        (7, "x"),
        ipaddress.ip_address("10.0.0.1"),
    ),
)
by_id = session.prepare("SELECT * FROM customer WHERE id = ?")
out["literal"] = customer(session.execute(by_id, [1]).one())
out["prepared"] = customer(session.execute(by_id, [2]).one())
out["nobody"] = customer(session.execute(by_id, [404]).one())

# Pages of a partition
add = session.prepare("INSERT INTO event (source, day, seq, payload) VALUES (?, ?, ?, ?)")
execute_concurrent_with_args(session, add, [("web", 1, seq, f"p{seq}") for seq in range(130)])
session.execute("UPDATE event SET note = %s WHERE source = %s AND day = %s", ("busy", "web", 1))
paged = session.prepare("SELECT seq, note, payload FROM event WHERE source = ? AND day = ?")
paged.fetch_size = 40
sizes, rows = [], []
result = session.execute(paged, ["web", 1])
while True:
    sizes.append(len(result.current_rows))
    rows += result.current_rows
    if not result.has_more_pages:
        break
    result.fetch_next_page()
out["pages"] = {"sizes": sizes, "first": list(rows[0]), "last": list(rows[-1])}
state = None
again = []
while True:
    result = session.execute(paged, ["web", 1], paging_state=state)
    again += [row.seq for row in result.current_rows]
    state = result.paging_state
    if state is None:
        break
out["again"] = again == [row.seq for row in rows]
slice_ = session.execute("SELECT seq FROM event WHERE source = 'web' AND day = 1 AND seq > 10 AND seq <= 13 ORDER BY seq ASC")
out["slice"] = [row.seq for row in slice_]

# Batches and counters
batch = BatchStatement(BatchType.LOGGED)
batch.add(add, ("web", 2, 1, "first"))
batch.add(SimpleStatement("INSERT INTO event (source, day, seq, payload) VALUES ('web', 2, 2, 'second')"))
batch.add("UPDATE event SET note = %s WHERE source = %s AND day = %s", ("few", "web", 2))
session.execute(batch)
batch = BatchStatement(BatchType.UNLOGGED)
for seq in (3, 4):
    batch.add(add, ("web", 2, seq, "later"))
session.execute(batch)
out["batch"] = [list(row) for row in session.execute("SELECT seq, note, payload FROM event WHERE source = 'web' AND day = 2")]
hit = session.prepare("UPDATE hits SET n = n + ? WHERE page = ?")
for n in (5, -2):
    session.execute(hit, (n, "/"))
batch = BatchStatement(BatchType.COUNTER)
batch.add(hit, (1, "/"))
batch.add(hit, (10, "/about"))
session.execute(batch)
out["counters"] = {row.page: row.n for row in session.execute("SELECT page, n FROM hits")}

# Conditions
claim = session.prepare("INSERT INTO customer (id, name) VALUES (?, ?) IF NOT EXISTS")
out["claims"] = []
for name in ("Cy", "Di"):
    answer = session.execute(claim, (3, name))
    row = answer.one()
    out["claims"].append([answer.was_applied, None if answer.was_applied else [row.id, row.name]])
rename = session.prepare("UPDATE customer SET name = ? WHERE id = ? IF name = ?")
for name, old in (("Ed", "Al"), ("Ed", "Cy")):
    answer = session.execute(rename, (name, 3, old))
    row = answer.one()
    out["claims"].append([answer.was_applied, None if answer.was_applied else [row.name]])
out["claims"].append([session.execute("DELETE FROM customer WHERE id = 999 IF EXISTS").was_applied, None])

# Many partitions, and the whole ring in parts
many = session.prepare("SELECT id, name FROM customer WHERE id IN ?")
out["many"] = sorted(list(row) for row in session.execute(many, [ValueSequence([1, 2, 3, 404])]))
execute_concurrent_with_args(session, add, [("ring", day, 0, "r") for day in range(100)])
part = session.prepare("SELECT source, day FROM event WHERE token(source, day) > ? AND token(source, day) <= ?")
bounds = [-(2**63), -(2**62), 0, 2**62, 2**63 - 1]
parts = [
    sum(1 for row in session.execute(part, (low, high)) if row.source == "ring") for low, high in zip(bounds, bounds[1:])
]
out["ring"] = {"parts": len([count for count in parts if count > 0]), "rows": sum(parts)}

# Changes in place
session.execute("UPDATE customer SET tags = tags + {'c'}, phones['cell'] = '3', visits = visits + [4] WHERE id = 2")
session.execute("UPDATE customer SET tags = tags - {'a'}, visits[0] = 9 WHERE id = 2")
session.execute("DELETE phones['home'] FROM customer WHERE id = 2")
row = session.execute(by_id, [2]).one()
out["changed"] = {"tags": list(row.tags), "phones": dict(row.phones), "visits": row.visits}
session.execute("INSERT INTO customer (id, name) VALUES (4, 'Flo') USING TTL 600 AND TIMESTAMP 1234567890123456")
row = session.execute("SELECT ttl(name) AS left, writetime(name) AS written FROM customer WHERE id = 4").one()
out["lives"] = [590 <= row.left <= 600, row.written]
session.execute("DELETE FROM event WHERE source = 'web' AND day = 1 AND seq >= 100")
out["left"] = session.execute("SELECT count(*) FROM event WHERE source = 'web' AND day = 1").one()[0]
out["indexed"] = [row.id for row in session.execute("SELECT id FROM customer WHERE email = 'asa@example.com'")]

# What is refused
out["errors"] = []
for statement in (
    "SELECT * FROM nowhere",
    "SELECT FROM customer",
    "CREATE TABLE hits (page text PRIMARY KEY)",
    "SELECT nothing FROM customer",
    "SELECT * FROM event WHERE seq = 1",
):
    try:
        session.execute(statement)
        out["errors"].append("none")
    except InvalidRequest:
        out["errors"].append("invalid")
    except SyntaxException:
        out["errors"].append("syntax")
    except AlreadyExists as error:
        out["errors"].append(f"{error.table} exists")

# Metadata
keyspace = cluster.metadata.keyspaces[KEYSPACE]
event = keyspace.tables["event"]
out["meta"] = {
    "nodes": len([host for host in cluster.metadata.all_hosts() if host.is_up]),
    "tables": sorted(keyspace.tables),
    "partition": [column.name for column in event.partition_key],
    "clustering": [[column.name, "desc" if column.is_reversed else "asc"] for column in event.clustering_key],
    "static": [column.name for column in event.columns.values() if column.is_static],
    "columns": {column.name: column.cql_type for column in keyspace.tables["customer"].columns.values()},
    "type": [keyspace.user_types["address"].field_names, keyspace.user_types["address"].field_types],
}
own = {"indexes": sorted(keyspace.indexes), "replicas": len(cluster.metadata.get_replicas(KEYSPACE, b"\0\0\0\1"))}
traced = session.execute("SELECT * FROM customer WHERE id = 1", trace=True).get_query_trace()
own["traced"] = [traced.request_type, len(traced.events) > 0]

session.execute(f"DROP KEYSPACE {KEYSPACE}")
own["dropped"] = KEYSPACE not in cluster.metadata.keyspaces
cluster.shutdown()
out["own"] = own
print(json.dumps(out, ensure_ascii=False), flush=True)
os._exit(0)  # the event loop of the driver sometimes misses its end, and would be waited for for 5 seconds
