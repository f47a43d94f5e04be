//! One run of the Rust driver: `effect-scylla-rust-bench <op> <inflight> <port> <requests>`, the same measurement as
//! bench/cql/worker.ts does, printed as the same line of JSON.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use tokio::task::LocalSet;
use uuid::Uuid;

const SELECT: &str = "SELECT id, name, age, score FROM ks.t WHERE id = ?";
const INSERT: &str = "INSERT INTO ks.t (id, name, age, score) VALUES (?, ?, ?, ?)";
const NAME: &str = "twenty characters ..";
const KEYS: u32 = 256;
/// As in bench/cql/clients/client.ts.
const WARM_UP_REQUESTS: u64 = 20_000;
const WARM_UP: Duration = Duration::from_millis(500);

struct Shared {
    session: Session,
    statement: PreparedStatement,
    keys: Vec<Uuid>,
    select: bool,
    remaining: Cell<u64>,
    sample_every: u32,
    until_sample: Cell<u32>,
    samples: RefCell<Vec<f64>>,
}

/// CPU time of this process, user and system, in microseconds.
fn cpu_micros() -> f64 {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let micros = |t: libc::timeval| t.tv_sec as f64 * 1e6 + t.tv_usec as f64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}

async fn request(shared: &Shared, n: u64) {
    let id = shared.keys[(n % u64::from(KEYS)) as usize];
    if shared.select {
        let result = shared.session.execute_unpaged(&shared.statement, (id,)).await.expect("SELECT failed");
        let rows = result.into_rows_result().expect("no rows");
        // Owned values, as an application keeps them, and as the other clients make them.
        let row = rows.single_row::<(Uuid, String, i32, i64)>().expect("not one row");
        black_box(row);
    } else {
        let values = (id, NAME, n as i32, n as i64);
        shared.session.execute_unpaged(&shared.statement, values).await.expect("INSERT failed");
    }
}

async fn worker(shared: Rc<Shared>) {
    loop {
        let n = shared.remaining.get();
        if n == 0 {
            return;
        }
        shared.remaining.set(n - 1);
        let until = shared.until_sample.get() - 1;
        if until == 0 {
            shared.until_sample.set(shared.sample_every);
            let start = Instant::now();
            request(&shared, n).await;
            shared.samples.borrow_mut().push(start.elapsed().as_nanos() as f64 / 1e3);
        } else {
            shared.until_sample.set(until);
            request(&shared, n).await;
        }
    }
}

async fn run(local: &LocalSet, shared: &Rc<Shared>, inflight: usize, requests: u64) {
    shared.remaining.set(requests);
    shared.samples.borrow_mut().clear();
    let workers: Vec<_> = (0..inflight).map(|_| local.spawn_local(worker(shared.clone()))).collect();
    for worker in workers {
        worker.await.expect("a worker failed");
    }
}

async fn bench(local: &LocalSet, args: &[String]) -> Result<(), Box<dyn Error>> {
    let [_, op, inflight, port, requests] = args else {
        return Err("arguments: select|insert <inflight> <port> <requests>".into());
    };
    let (inflight, requests): (usize, u64) = (inflight.parse()?, requests.parse()?);
    let select = match op.as_str() {
        "select" => true,
        "insert" => false,
        other => return Err(format!("unknown operation {other}").into()),
    };
    let session = SessionBuilder::new().known_node(format!("127.0.0.1:{port}")).build().await?;
    let statement = session.prepare(if select { SELECT } else { INSERT }).await?;
    let sample_every = if inflight == 1 { 5 } else { 31 };
    let shared = Rc::new(Shared {
        session,
        statement,
        // The same keys as the other clients' (client.ts).
        keys: (0..KEYS).map(|i| Uuid::from_u128(0x0102_0304_0506_4708_8910_1112_0000_0000 | u128::from(i))).collect(),
        select,
        remaining: Cell::new(0),
        sample_every,
        until_sample: Cell::new(sample_every),
        samples: RefCell::new(Vec::with_capacity(requests as usize / sample_every as usize + 1)),
    });
    let start = Instant::now();
    while start.elapsed() < WARM_UP {
        run(local, &shared, inflight.max(32), WARM_UP_REQUESTS).await;
    }
    run(local, &shared, inflight, requests / 20).await;

    let start = Instant::now();
    let cpu = cpu_micros();
    run(local, &shared, inflight, requests).await;
    let cpu = cpu_micros() - cpu;
    let seconds = start.elapsed().as_secs_f64();
    let mut samples = shared.samples.take();
    samples.sort_by(f64::total_cmp);
    let quantile = |q: f64| samples[((samples.len() as f64 * q) as usize).min(samples.len() - 1)];
    println!(
        "{{\"cpuMicros\":{:.4},\"p50\":{:.1},\"p99\":{:.1},\"reqPerSec\":{:.0}}}",
        cpu / requests as f64,
        quantile(0.5),
        quantile(0.99),
        requests as f64 / seconds
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, bench(&local, &args))
}
