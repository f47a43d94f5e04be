//! One d-engine node with file storage and leases: `dengine-node <config.toml> <data directory>`, until SIGINT.
use d_engine::storage::DefaultLease;
use d_engine::{FileStateMachine, FileStorageEngine, StandaloneEngine};
use d_engine_core::config::LeaseConfig;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(config), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: dengine-node <config.toml> <data directory>".into());
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let directory = PathBuf::from(directory);
    let (stop, stopped) = watch::channel(());
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        let _ = stop.send(());
    });
    let storage = Arc::new(FileStorageEngine::new(directory.join("storage"))?);
    let mut machine = FileStateMachine::new(directory.join("machine")).await?;
    // Without a lease manager one put with a TTL wedges a 0.2.4 cluster for good; the configuration must enable it too.
    machine.set_lease(Arc::new(DefaultLease::new(LeaseConfig { enabled: true, ..LeaseConfig::default() })));
    StandaloneEngine::run_custom(storage, Arc::new(machine), stopped, Some(&config)).await?;
    Ok(())
}
