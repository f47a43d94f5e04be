"""Models of scylla-driver's cqlengine: `cqlengine.py HOST PORT DATACENTER COPIES` prints what they read as one line of JSON."""

import json
import os
import sys
import uuid
from datetime import datetime, timedelta

os.environ["CQLENG_ALLOW_SCHEMA_MANAGEMENT"] = "1"

from cassandra.auth import PlainTextAuthProvider
from cassandra.cqlengine import columns, connection, functions
from cassandra.cqlengine.management import create_keyspace_simple, drop_keyspace, drop_table, sync_table
from cassandra.cqlengine.models import Model
from cassandra.cqlengine.query import BatchQuery, BatchType, ContextQuery, DoesNotExist, LWTException, MultipleObjectsReturned
from cassandra.cqlengine.usertype import UserType

host, port, datacenter, copies = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
KEYSPACE = "engine"
login = os.environ.get("CQL_USERNAME")
auth = PlainTextAuthProvider(login, os.environ["CQL_PASSWORD"]) if login else None
connection.setup([host], KEYSPACE, port=port, protocol_version=4, auth_provider=auth)
create_keyspace_simple(KEYSPACE, copies)
out = {}


class Address(UserType):
    street = columns.Text()
    zip = columns.Integer()


class Person(Model):
    id = columns.UUID(primary_key=True, default=uuid.uuid4)
    name = columns.Text(index=True)
    age = columns.Integer(default=18)
    tags = columns.Set(columns.Text)
    notes = columns.List(columns.Text)
    marks = columns.Map(columns.Text, columns.Integer)
    home = columns.UserDefinedType(Address)
    seen = columns.DateTime()
    balance = columns.Decimal()
    active = columns.Boolean(default=True)


class Post(Model):
    __options__ = {"comment": "what people write", "gc_grace_seconds": 3600}
    blog = columns.Text(partition_key=True)
    year = columns.Integer(partition_key=True)
    number = columns.Integer(primary_key=True, clustering_order="DESC")
    motto = columns.Text(static=True)
    title = columns.Text(required=True)
    stars = columns.TinyInt()


class Visits(Model):
    page = columns.Text(primary_key=True)
    count = columns.Counter()


class Grown(Model):
    __table_name__ = "post"
    blog = columns.Text(partition_key=True)
    year = columns.Integer(partition_key=True)
    number = columns.Integer(primary_key=True, clustering_order="DESC")
    motto = columns.Text(static=True)
    title = columns.Text(required=True)
    stars = columns.TinyInt()
    link = columns.Text()


def refused(kind, action):
    try:
        action()
        return False
    except kind:
        return True


for model in (Person, Post, Visits):
    sync_table(model)
sync_table(Person)  # nothing is left to do

# Create, get, filter
ann = Person.create(
    name="Ann",
    age=33,
    tags={"b", "a"},
    notes=["x", "y"],
    marks={"go": 1},
    home=Address(street="Main 1", zip=12345),
    seen=datetime(2024, 2, 29, 12, 34, 56, 789000),
    balance="12.50",
)
Person.create(id=uuid.UUID(int=2), name="Bob")
found = Person.get(id=ann.id)
out["ann"] = {
    "name": found.name,
    "age": found.age,
    "tags": sorted(found.tags),
    "notes": found.notes,
    "marks": dict(found.marks),
    "home": [found.home.street, found.home.zip],
    "seen": found.seen.isoformat(),
    "balance": str(found.balance),
    "active": found.active,
}
out["bob"] = [person.age for person in Person.objects.filter(name="Bob")]
out["people"] = Person.objects.count()
out["nobody"] = refused(DoesNotExist, lambda: Person.get(id=uuid.UUID(int=404)))
out["several"] = refused(MultipleObjectsReturned, lambda: Person.objects.get())

# Update and delete
found.update(age=34, tags=found.tags | {"c"}, notes=["w"] + found.notes, marks={**found.marks, "rust": 2})
found.tags.remove("a")
found.home.zip = 54321
found.save()
Person.objects(id=ann.id).update(notes__append=["z"], tags__add={"d"}, marks__update={"go": 7}, balance=None)
again = Person.get(id=ann.id)
out["updated"] = [again.age, sorted(again.tags), again.notes, dict(again.marks), [again.home.street, again.home.zip], again.balance]
Person.objects(id=uuid.UUID(int=2)).delete()
out["remaining"] = [person.name for person in Person.all()]

# Clustering, order, limits, pages of tokens
for number in range(20):
    Post.create(blog="b", year=2024, number=number, title=f"t{number}", stars=number % 5)
Post.objects(blog="b", year=2024).update(motto="write")
posts = Post.objects(blog="b", year=2024)
out["newest"] = [post.number for post in posts.limit(3)]
out["oldest"] = [post.number for post in posts.order_by("number").limit(3)]
out["between"] = [[post.number, post.motto] for post in posts.filter(number__gt=3, number__lte=5)]
out["in"] = [post.title for post in posts.filter(number__in=[1, 7, 99])]
out["starred"] = sorted(post.number for post in posts.filter(stars=4).allow_filtering())
out["titles"] = list(posts.limit(2).values_list("title", flat=True))
out["only"] = [[post.number, post.title] for post in posts.only(["number", "title"]).limit(1)]
out["distinct"] = [[post.blog, post.year] for post in Post.objects.distinct(["blog", "year"])]
for year in range(30):
    Post.create(blog="many", year=year, number=0, title="t")
scanned, last = [], None
while True:
    page = Post.objects.distinct(["blog", "year"]).limit(7)
    if last is not None:
        page = page.filter(pk__token__gt=functions.Token(last.blog, last.year))
    page = list(page)
    if not page:
        break
    scanned += [(post.blog, post.year) for post in page]
    last = page[-1]
out["scanned"] = [len(scanned), len(set(scanned))]

# Batches, counters, conditions, times to live
with BatchQuery(batch_type=BatchType.Unlogged) as batch:
    for number in (100, 101):
        Post.batch(batch).create(blog="c", year=1, number=number, title="batched")
with BatchQuery() as batch:
    Post.objects(blog="c", year=1, number=100).batch(batch).update(title="changed")
    Post.objects(blog="c", year=1, number=101).batch(batch).delete()
out["batched"] = [[post.number, post.title] for post in Post.objects(blog="c", year=1)]
Visits.create(page="/", count=2)
Visits.objects(page="/").update(count=3)
visit = Visits.get(page="/")
visit.count -= 1
visit.save()
out["visits"] = Visits.get(page="/").count
Post.if_not_exists().create(blog="l", year=1, number=1, title="first")
out["exists"] = refused(LWTException, lambda: Post.if_not_exists().create(blog="l", year=1, number=1, title="second"))
try:
    Post.objects(blog="l", year=1, number=1).iff(title="second").update(title="third")
except LWTException as error:
    out["condition"] = error.existing
Post.objects(blog="l", year=1, number=1).iff(title="first").update(title="third")
out["won"] = Post.get(blog="l", year=1, number=1).title
Post.ttl(600).timestamp(timedelta(seconds=-10)).create(blog="ttl", year=1, number=1, title="short")
row = connection.execute("SELECT ttl(title) AS left, writetime(title) AS written FROM engine.post WHERE blog = 'ttl' AND year = 1 AND number = 1").one()
out["ttl"] = 590 <= row["left"] <= 600

# The table grows, and is found as it was described
sync_table(Grown)
Grown.create(blog="g", year=1, number=1, title="linked", link="https://example.com")
out["grown"] = Grown.get(blog="g", year=1, number=1).link
table = connection.get_cluster().metadata.keyspaces[KEYSPACE].tables["post"]
out["table"] = [table.options["comment"], table.options["gc_grace_seconds"], sorted(table.columns)]
out["sql"] = str(Post.objects(blog="b", year=2024).limit(1))
drop_table(Visits)
out["tables"] = sorted(connection.get_cluster().metadata.keyspaces[KEYSPACE].tables)
drop_keyspace(KEYSPACE)
connection.unregister_connection("default")
print(json.dumps(out, ensure_ascii=False), flush=True)
os._exit(0)  # the event loop of the driver sometimes misses its end, and would be waited for for 5 seconds
