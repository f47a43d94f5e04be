//! The shop on the Rust driver: `shop HOST PORT DATACENTER COPIES` prints what it read as one line of JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use num_bigint::BigInt;
use scylla::client::Compression;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::cluster::metadata::{CollectionType, ColumnKind, ColumnType, NativeType};
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::PagingState;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{Counter, CqlTimestamp, CqlValue, Row};
use scylla::{DeserializeRow, DeserializeValue, SerializeValue};
use serde_json::{Value, json};
use uuid::Uuid;

const KEYSPACE: &str = "shop_rust";
const COLUMNS: &str =
    "id, name, email, tags, phones, visits, home, uid, balance, born, at, photo, big, ok, score, pos, ip";

type Failure = Box<dyn Error>;
type Event = (i32, Option<String>, String);

#[derive(Clone, Debug, SerializeValue, DeserializeValue)]
struct Address {
    street: String,
    zip: i32,
}

#[derive(DeserializeRow)]
struct Customer {
    id: i32,
    name: String,
    email: String,
    tags: BTreeSet<String>,
    phones: BTreeMap<String, String>,
    visits: Vec<i32>,
    home: Address,
    uid: Uuid,
    balance: BigDecimal,
    born: NaiveDate,
    at: DateTime<Utc>,
    photo: Vec<u8>,
    big: BigInt,
    ok: bool,
    score: f64,
    pos: (i32, String),
    ip: IpAddr,
}

impl Customer {
    fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "tags": self.tags,
            "phones": self.phones,
            "visits": self.visits,
            "home": { "street": self.home.street, "zip": self.home.zip },
            "uid": self.uid.to_string(),
            "balance": self.balance.to_plain_string(),
            "born": self.born.to_string(),
            "at": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "photo": self.photo.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
            "big": self.big.to_string(),
            "ok": self.ok,
            "score": self.score,
            "pos": self.pos,
            "ip": self.ip.to_string(),
        })
    }
}

/// A type as CQL writes it.
fn name_of(column: &ColumnType) -> String {
    match column {
        ColumnType::Native(native) => match native {
            NativeType::Blob => "blob",
            NativeType::Boolean => "boolean",
            NativeType::Date => "date",
            NativeType::Decimal => "decimal",
            NativeType::Double => "double",
            NativeType::Inet => "inet",
            NativeType::Int => "int",
            NativeType::Text => "text",
            NativeType::Timestamp => "timestamp",
            NativeType::Uuid => "uuid",
            NativeType::Varint => "varint",
            _ => "another",
        }
        .to_string(),
        ColumnType::Collection { typ, .. } => match typ {
            CollectionType::List(of) => format!("list<{}>", name_of(of)),
            CollectionType::Set(of) => format!("set<{}>", name_of(of)),
            CollectionType::Map(key, value) => format!("map<{}, {}>", name_of(key), name_of(value)),
            _ => "another".to_string(),
        },
        ColumnType::Tuple(of) => format!(
            "frozen<tuple<{}>>",
            of.iter().map(name_of).collect::<Vec<_>>().join(", ")
        ),
        ColumnType::UserDefinedType { definition, .. } => format!("frozen<{}>", definition.name),
        _ => "another".to_string(),
    }
}

/// What a conditional statement answered: whether it applied, else the named columns of what was there.
async fn claim(
    session: &Session,
    statement: &str,
    values: impl scylla::serialize::row::SerializeRow,
    columns: &[&str],
) -> Result<Value, Failure> {
    let mut prepared = session.prepare(statement).await?;
    prepared.set_serial_consistency(Some(SerialConsistency::LocalSerial));
    let answer = session.execute_unpaged(&prepared, values).await?.into_rows_result()?;
    let names: Vec<String> = answer
        .column_specs()
        .iter()
        .map(|spec| spec.name().to_string())
        .collect();
    let row = answer.single_row::<Row>()?;
    let at = |name: &str| {
        names
            .iter()
            .position(|each| each == name)
            .and_then(|i| row.columns[i].clone())
    };
    let applied = matches!(at("[applied]"), Some(CqlValue::Boolean(true)));
    let before: Vec<Value> = columns
        .iter()
        .map(|name| match at(name) {
            Some(CqlValue::Int(number)) => json!(number),
            Some(CqlValue::Text(text)) => json!(text),
            other => json!(format!("{other:?}")),
        })
        .collect();
    Ok(if applied {
        json!([true, null])
    } else {
        json!([false, before])
    })
}

async fn events(session: &Session, statement: &str) -> Result<Vec<Event>, Failure> {
    Ok(session
        .query_unpaged(statement, ())
        .await?
        .into_rows_result()?
        .rows::<Event>()?
        .collect::<Result<_, _>>()?)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    let (host, port, datacenter, copies) = (&args[1], &args[2], &args[3], &args[4]);
    let mut out = serde_json::Map::new();
    let mut own = serde_json::Map::new();

    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .load_balancing_policy(
            DefaultPolicy::builder()
                .prefer_datacenter(datacenter.clone())
                .token_aware(true)
                .build(),
        )
        .build();
    let mut builder = SessionBuilder::new()
        .known_node(format!("{host}:{port}"))
        .compression(Some(Compression::Lz4))
        .default_execution_profile_handle(profile.into_handle());
    if let Ok(login) = std::env::var("CQL_USERNAME") {
        builder = builder.user(login, std::env::var("CQL_PASSWORD")?);
    }
    let session = builder.build().await?;
    let run = async |statement: &str| session.query_unpaged(statement, ()).await;

    // The schema
    run(&format!(
        "CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {copies}}}"
    ))
    .await?;
    session.use_keyspace(KEYSPACE, false).await?;
    run("CREATE TYPE address (street text, zip int)").await?;
    run("CREATE TABLE customer (
        id int PRIMARY KEY, name text, email text, tags set<text>, phones map<text, text>, visits list<int>,
        home frozen<address>, uid uuid, balance decimal, born date, at timestamp, photo blob, big varint, ok boolean,
        score double, pos frozen<tuple<int, text>>, ip inet)")
    .await?;
    run("CREATE TABLE event (source text, day int, seq int, note text static, payload text, PRIMARY KEY ((source, day), seq))
        WITH CLUSTERING ORDER BY (seq DESC)")
    .await?;
    run("CREATE TABLE hits (page text PRIMARY KEY, n counter)").await?;
    run("CREATE INDEX customer_email ON customer (email)").await?;
    session.await_schema_agreement().await?;

    // A row by literals, a row by a prepared statement
    run(&format!(
        "INSERT INTO customer ({COLUMNS})
        VALUES (1, 'Bo', 'bo@example.com', {{'y', 'x'}}, {{'home': '11'}}, [2, 1], {{street: 'Side 2', zip: 54321}},
        00000000-0000-4000-8000-000000000001, -0.001, '1970-01-01', '1969-12-31T23:59:59.999Z', 0xCAFE, -1, false, -2.25,
        (1, 'one'), '::1')"
    ))
    .await?;
    let insert = session
        .prepare(format!(
            "INSERT INTO customer ({COLUMNS}) VALUES ({})",
            ["?"; 17].join(", ")
        ))
        .await?;
    // More than 16 values are no tuple of the driver's: a map by names.
    let phones = BTreeMap::from([("work", "2"), ("home", "1")]);
    let values: HashMap<&str, Box<dyn scylla::serialize::value::SerializeValue + Send + Sync>> = HashMap::from([
        ("id", Box::new(2) as _),
        ("name", Box::new("Åsa") as _),
        ("email", Box::new("asa@example.com") as _),
        ("tags", Box::new(BTreeSet::from(["b", "a"])) as _),
        ("phones", Box::new(phones) as _),
        ("visits", Box::new(vec![3, 1, 2]) as _),
        (
            "home",
            Box::new(Address {
                street: "Main 1".to_string(),
                zip: 12345,
            }) as _,
        ),
        (
            "uid",
            Box::new(Uuid::from_str("123e4567-e89b-42d3-a456-426614174000")?) as _,
        ),
        ("balance", Box::new(BigDecimal::from_str("12.50")?) as _),
        ("born", Box::new(NaiveDate::from_ymd_opt(1990, 5, 17)) as _),
        ("at", Box::new(CqlTimestamp(1_709_210_096_789)) as _),
        ("photo", Box::new(vec![0_u8, 255, 16]) as _),
        ("big", Box::new(BigInt::from(1) << 80) as _),
        ("ok", Box::new(true) as _),
        ("score", Box::new(0.5) as _),
        ("pos", Box::new((7, "x")) as _),
        ("ip", Box::new(IpAddr::from_str("10.0.0.1")?) as _),
    ]);
    session.execute_unpaged(&insert, values).await?;
    let by_id = session
        .prepare(format!("SELECT {COLUMNS} FROM customer WHERE id = ?"))
        .await?;
    for (name, id) in [("literal", 1), ("prepared", 2), ("nobody", 404)] {
        let row = session
            .execute_unpaged(&by_id, (id,))
            .await?
            .into_rows_result()?
            .maybe_first_row::<Customer>()?;
        out.insert(name.to_string(), row.map_or(Value::Null, |row| row.shown()));
    }

    // Pages of a partition
    let add = session
        .prepare("INSERT INTO event (source, day, seq, payload) VALUES (?, ?, ?, ?)")
        .await?;
    stream::iter(0..130)
        .map(async |seq| session.execute_unpaged(&add, ("web", 1, seq, format!("p{seq}"))).await)
        .buffer_unordered(32)
        .try_collect::<Vec<_>>()
        .await?;
    session
        .query_unpaged(
            "UPDATE event SET note = ? WHERE source = ? AND day = ?",
            ("busy", "web", 1),
        )
        .await?;
    let mut paged = session
        .prepare("SELECT seq, note, payload FROM event WHERE source = ? AND day = ?")
        .await?;
    paged.set_page_size(40);
    let (mut sizes, mut rows, mut state) = (Vec::new(), Vec::new(), PagingState::start());
    loop {
        let (page, next) = session.execute_single_page(&paged, ("web", 1), state).await?;
        let page = page
            .into_rows_result()?
            .rows::<Event>()?
            .collect::<Result<Vec<_>, _>>()?;
        sizes.push(page.len());
        rows.extend(page);
        match next.into_paging_control_flow() {
            ControlFlow::Break(()) => break,
            ControlFlow::Continue(next) => state = next,
        }
    }
    out.insert(
        "pages".to_string(),
        json!({ "sizes": sizes, "first": rows.first(), "last": rows.last() }),
    );
    let again: Vec<Event> = session
        .execute_iter(paged, ("web", 1))
        .await?
        .rows_stream::<Event>()?
        .try_collect()
        .await?;
    out.insert("again".to_string(), json!(again == rows));
    let slice =
        run("SELECT seq FROM event WHERE source = 'web' AND day = 1 AND seq > 10 AND seq <= 13 ORDER BY seq ASC")
            .await?;
    let slice = slice
        .into_rows_result()?
        .rows::<(i32,)>()?
        .map(|row| Ok(row?.0))
        .collect::<Result<Vec<_>, Failure>>()?;
    out.insert("slice".to_string(), json!(slice));

    // Batches and counters
    let mut batch = Batch::new(BatchType::Logged);
    batch.append_statement(add.clone());
    batch.append_statement("INSERT INTO event (source, day, seq, payload) VALUES ('web', 2, 2, 'second')");
    batch.append_statement("UPDATE event SET note = ? WHERE source = ? AND day = ?");
    session
        .batch(&batch, (("web", 2, 1, "first"), (), ("few", "web", 2)))
        .await?;
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.append_statement(add.clone());
    batch.append_statement(add.clone());
    session
        .batch(&batch, (("web", 2, 3, "later"), ("web", 2, 4, "later")))
        .await?;
    out.insert(
        "batch".to_string(),
        json!(
            events(
                &session,
                "SELECT seq, note, payload FROM event WHERE source = 'web' AND day = 2"
            )
            .await?
        ),
    );
    let hit = session.prepare("UPDATE hits SET n = n + ? WHERE page = ?").await?;
    for n in [5, -2] {
        session.execute_unpaged(&hit, (Counter(n), "/")).await?;
    }
    let mut batch = Batch::new(BatchType::Counter);
    batch.append_statement(hit.clone());
    batch.append_statement(hit.clone());
    session
        .batch(&batch, ((Counter(1), "/"), (Counter(10), "/about")))
        .await?;
    let counters = run("SELECT page, n FROM hits").await?.into_rows_result()?;
    let counters = counters
        .rows::<(String, Counter)>()?
        .map(|row| row.map(|(page, n)| (page, n.0)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    out.insert("counters".to_string(), json!(counters));

    // Conditions
    let mut claims = Vec::new();
    for name in ["Cy", "Di"] {
        claims.push(
            claim(
                &session,
                "INSERT INTO customer (id, name) VALUES (?, ?) IF NOT EXISTS",
                (3, name),
                &["id", "name"],
            )
            .await?,
        );
    }
    for name in ["Al", "Cy"] {
        claims.push(
            claim(
                &session,
                "UPDATE customer SET name = ? WHERE id = ? IF name = ?",
                ("Ed", 3, name),
                &["name"],
            )
            .await?,
        );
    }
    let gone = claim(&session, "DELETE FROM customer WHERE id = 999 IF EXISTS", (), &[]).await?;
    claims.push(json!([gone[0], null]));
    out.insert("claims".to_string(), json!(claims));

    // Many partitions, and the whole ring in parts
    let many = session.prepare("SELECT id, name FROM customer WHERE id IN ?").await?;
    let many = session
        .execute_unpaged(&many, (vec![1, 2, 3, 404],))
        .await?
        .into_rows_result()?;
    let many = many.rows::<(i32, String)>()?.collect::<Result<BTreeSet<_>, _>>()?;
    out.insert("many".to_string(), json!(many));
    stream::iter(0..100)
        .map(async |day| session.execute_unpaged(&add, ("ring", day, 0, "r")).await)
        .buffer_unordered(32)
        .try_collect::<Vec<_>>()
        .await?;
    let part = session
        .prepare("SELECT source, day FROM event WHERE token(source, day) > ? AND token(source, day) <= ?")
        .await?;
    let bounds = [i64::MIN, -(1 << 62), 0, 1 << 62, i64::MAX];
    let mut parts = Vec::new();
    for pair in bounds.windows(2) {
        let rows = session
            .execute_unpaged(&part, (pair[0], pair[1]))
            .await?
            .into_rows_result()?;
        let rows = rows.rows::<(String, i32)>()?.collect::<Result<Vec<_>, _>>()?;
        parts.push(rows.iter().filter(|(source, _)| source == "ring").count());
    }
    out.insert(
        "ring".to_string(),
        json!({ "parts": parts.iter().filter(|count| **count > 0).count(), "rows": parts.iter().sum::<usize>() }),
    );

    // Changes in place
    run("UPDATE customer SET tags = tags + {'c'}, phones['cell'] = '3', visits = visits + [4] WHERE id = 2").await?;
    run("UPDATE customer SET tags = tags - {'a'}, visits[0] = 9 WHERE id = 2").await?;
    run("DELETE phones['home'] FROM customer WHERE id = 2").await?;
    let changed = session
        .execute_unpaged(&by_id, (2,))
        .await?
        .into_rows_result()?
        .single_row::<Customer>()?;
    out.insert(
        "changed".to_string(),
        json!({ "tags": changed.tags, "phones": changed.phones, "visits": changed.visits }),
    );
    run("INSERT INTO customer (id, name) VALUES (4, 'Flo') USING TTL 600 AND TIMESTAMP 1234567890123456").await?;
    let (left, written) = run("SELECT ttl(name) AS left, writetime(name) AS written FROM customer WHERE id = 4")
        .await?
        .into_rows_result()?
        .single_row::<(i32, i64)>()?;
    out.insert("lives".to_string(), json!([(590..=600).contains(&left), written]));
    run("DELETE FROM event WHERE source = 'web' AND day = 1 AND seq >= 100").await?;
    let (count,) = run("SELECT count(*) FROM event WHERE source = 'web' AND day = 1")
        .await?
        .into_rows_result()?
        .single_row::<(i64,)>()?;
    out.insert("left".to_string(), json!(count));
    let indexed = run("SELECT id FROM customer WHERE email = 'asa@example.com'")
        .await?
        .into_rows_result()?;
    let indexed = indexed
        .rows::<(i32,)>()?
        .map(|row| row.map(|(id,)| id))
        .collect::<Result<Vec<_>, _>>()?;
    out.insert("indexed".to_string(), json!(indexed));

    // What is refused
    let mut errors = Vec::new();
    for statement in [
        "SELECT * FROM nowhere",
        "SELECT FROM customer",
        "CREATE TABLE hits (page text PRIMARY KEY)",
        "SELECT nothing FROM customer",
        "SELECT * FROM event WHERE seq = 1",
    ] {
        errors.push(match run(statement).await {
            Ok(_) => "none".to_string(),
            Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _))) => match error {
                DbError::Invalid => "invalid".to_string(),
                DbError::SyntaxError => "syntax".to_string(),
                DbError::AlreadyExists { table, .. } => format!("{table} exists"),
                other => other.to_string(),
            },
            Err(other) => other.to_string(),
        });
    }
    out.insert("errors".to_string(), json!(errors));

    // Metadata
    session.refresh_metadata().await?;
    let state = session.get_cluster_state();
    let keyspace = state.get_keyspace(KEYSPACE).ok_or("no keyspace")?;
    let (event, customer) = (&keyspace.tables["event"], &keyspace.tables["customer"]);
    let address = &keyspace.user_defined_types["address"];
    let columns: BTreeMap<_, _> = customer
        .columns
        .iter()
        .map(|(name, column)| (name, name_of(&column.typ)))
        .collect();
    let statics: Vec<_> = event
        .columns
        .iter()
        .filter(|(_, column)| column.kind == ColumnKind::Static)
        .map(|(name, _)| name)
        .collect();
    out.insert(
        "meta".to_string(),
        json!({
            "nodes": state.get_nodes_info().len(),
            "tables": keyspace.tables.keys().collect::<BTreeSet<_>>(),
            "partition": event.partition_key,
            "static": statics,
            "columns": columns,
            "type": [
                address.field_types.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                address.field_types.iter().map(|(_, typ)| name_of(typ)).collect::<Vec<_>>(),
            ],
        }),
    );
    own.insert("clustering".to_string(), json!(event.clustering_key));
    own.insert(
        "token".to_string(),
        json!(state.compute_token(KEYSPACE, "customer", &(1,))?.value().to_string()),
    );
    let mut traced = Statement::new("SELECT * FROM customer WHERE id = 1");
    traced.set_tracing(true);
    let id = session
        .query_unpaged(traced, ())
        .await?
        .tracing_id()
        .ok_or("no trace")?;
    let trace = session.get_tracing_info(&id).await?;
    own.insert("traced".to_string(), json!([trace.request, !trace.events.is_empty()]));
    run(&format!("DROP KEYSPACE {KEYSPACE}")).await?;
    out.insert("own".to_string(), Value::Object(own));
    println!("{}", Value::Object(out));
    Ok(())
}
